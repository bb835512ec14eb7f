// One training run, from texts to a measured adapter folder: the whole work of a trainer process.

import { readPeftFolder, writePeftFolder } from '../adapters/peft.ts';
import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/sha256.ts';
import { type Base, loadTokenizer, openBase } from '../model/base-package.ts';
import { coveringShape, type LoraAdapter, type LoraShape, unflattenLora } from '../model/lora.ts';
import { checkpointFiles } from './checkpoint-files.ts';
import { freshLora } from './core/fresh-lora.ts';
import { type Random, seededRandom } from './core/random.ts';
import type { Checkpoints, StepReport } from './core/train-loop.ts';
import type { HoldoutMeasures } from './gate.ts';
import { learn } from './learn.ts';
import { type LlamaLearner, openLlamaLearner } from './llama-learner.ts';
import { measureHoldout } from './measure-holdout.ts';
import { type TokenisedParts, tokeniseParts } from './tokenise-parts.ts';
import type { TrainingJob, TrainingProgress, TrainingResult } from './training-job.ts';

/** What a run needs besides its job. */
export interface TrainAdapterOptions {
  readonly clock: Clock;
  readonly onProgress: (progress: TrainingProgress) => void;
}

/** Trains and measures an adapter and writes its PEFT folder. Equal jobs write equal bytes.
 *  Throws UntrainableError when the data or the recipe cannot give an adapter. */
export async function trainAdapter(
  job: TrainingJob,
  options: TrainAdapterOptions,
): Promise<TrainingResult> {
  const base = await openBase(job.baseDir);
  const live = job.liveAdapterDir === null ? null : await readPeftFolder(job.liveAdapterDir, base);
  const parts = tokeniseParts(job, await loadTokenizer(base));
  const openLearner = learnersOf(job, base);
  const learner = await openLearner(job.recipe.lora);
  try {
    const start = freshLora(base.config, job.recipe.lora, randomOf(job, 'weights'));
    const learnt = await learn(job.recipe, parts, {
      learner,
      start,
      randomOf: (purpose) => randomOf(job, purpose),
      onStep: withSpeed(options),
      checkpointsOf: (purpose) => checkpointsOf(job, base, purpose),
    });
    const candidate = unflattenLora(base.config, job.recipe.lora, learnt.theta);
    const measures = await measure(job, parts, { base, learner, openLearner, candidate, live });
    return {
      adapterDir: job.outDir,
      files: await writePeftFolder(job.outDir, candidate, base),
      measures,
      losses: learnt.losses,
      validationLosses: learnt.validationLosses,
      steps: learnt.losses.length,
      notes: parts.notes,
    };
  } finally {
    await learner.close();
  }
}

type OpenLearner = (lora: LoraShape) => Promise<LlamaLearner>;

function learnersOf({ recipe, threads = 1 }: TrainingJob, base: Base): OpenLearner {
  const { precision, maxTokens } = recipe;
  return (lora) => openLlamaLearner({ base, lora, precision, maxTokens, threads });
}

/** Random numbers that follow from the data and the recipe alone, so that equal data gives equal adapters. */
function randomOf(job: TrainingJob, purpose: string): Random {
  return seededRandom(sha256(nameOf(job, purpose)));
}

function nameOf({ datasetSha256, recipe }: TrainingJob, purpose: string): string {
  return canonicalJson([datasetSha256, recipe as unknown as Json, purpose]);
}

function checkpointsOf(job: TrainingJob, base: Base, purpose: string): Checkpoints | null {
  if (job.checkpointDir === undefined) return null;
  return checkpointFiles(job.checkpointDir, `${base.sha256} ${nameOf(job, purpose)}`);
}

function withSpeed({ clock, onProgress }: TrainAdapterOptions): (report: StepReport) => void {
  let last = clock.now();
  return (report) => {
    const now = clock.now();
    onProgress({ ...report, tokensPerSecond: (1000 * report.tokens) / Math.max(1, now - last) });
    last = now;
  };
}

async function measure(
  { recipe }: TrainingJob,
  { holdout }: TokenisedParts,
  run: {
    base: Base;
    learner: LlamaLearner;
    openLearner: OpenLearner;
    candidate: LoraAdapter;
    live: LoraAdapter | null;
  },
): Promise<HoldoutMeasures> {
  const { config } = run.base;
  const shape = coveringShape(config, recipe.lora, run.live?.shape ?? recipe.lora);
  // a live adapter made by another recipe may not fit into this one's graphs
  const learner = shape === recipe.lora ? run.learner : await run.openLearner(shape);
  try {
    return await measureHoldout(holdout, run, { learner, config, shape });
  } finally {
    if (learner !== run.learner) await learner.close();
  }
}
