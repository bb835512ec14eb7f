// An adapter for everyone: what a mode ships, and its users' own adapters begin from.

import type { Clock } from '../lib/clock.ts';
import type { Base } from '../model/base/base-package.ts';
import type { Mode } from '../modes/mode.ts';
import { decideGate, type GateVerdict } from './core/gate.ts';
import { recipeOf } from './core/recipe.ts';
import type { GlobalData } from './global-data.ts';
import { trainAdapter } from './train-adapter.ts';
import type { TrainingProgress, TrainingResult } from './training-job.ts';

/** What is trained, on what, and where it goes. */
export interface TrainGlobalOptions {
  readonly mode: Mode;
  readonly base: Base;
  readonly data: GlobalData;
  /** The adapter folder shall be here; must not exist yet. It appears whole or not at all. */
  readonly outDir: string;
  /** Default 1; as in TrainingJob. */
  readonly threads?: number;
  readonly clock: Clock;
  readonly onProgress: (progress: TrainingProgress) => void;
}

/** Trains from scratch by the mode's recipe, and measures by the mode's gate; the folder is there whatever the verdict.
 *  Throws UntrainableError when the data or the recipe cannot give an adapter. */
export async function trainGlobal(
  options: TrainGlobalOptions,
): Promise<{ readonly result: TrainingResult; readonly verdict: GateVerdict }> {
  const { mode, base, data, outDir, threads = 1, clock, onProgress } = options;
  const { examples, preferences, datasetSha256 } = data;
  const result = await trainAdapter(
    {
      ...{ baseDir: base.dir, recipe: recipeOf(mode, base.config), datasetSha256, threads, outDir },
      ...{ examples, preferences, liveAdapterDir: null },
    },
    { clock, onProgress },
  );
  const { objective, gate } = mode;
  return { result, verdict: decideGate(result.measures, { ...gate, objective }) };
}
