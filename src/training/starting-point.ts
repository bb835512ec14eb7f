// Where a run begins: at nothing, at the adapter that its mode ships, or at the adapter that it goes on from.

import { readPeftFolder } from '../adapters/peft.ts';
import type { Base } from '../model/base/base-package.ts';
import { coveringShape, flattenLora, type LoraShape, noLora } from '../model/lora/lora.ts';
import { freshLora, laidOver } from './core/fresh-lora.ts';
import type { Random } from './core/random.ts';
import type { TrainingJob } from './training-job.ts';

/** A run's first numbers. */
export interface Start {
  /** The recipe's, or a larger one that the adapter it begins from fits into too. */
  readonly shape: LoraShape;
  /** The adapter before the first step. */
  readonly theta: Float32Array;
  /** The model that preferences must not stray from. */
  readonly reference: Float32Array;
}

/** Reads what the job begins from. Throws as readPeftFolder does. */
export async function openStart(job: TrainingJob, base: Base, random: Random): Promise<Start> {
  const { recipe, shipped, warmStart } = job;
  const read = (point: TrainingJob['shipped']) =>
    point === undefined ? null : readPeftFolder(point.adapterDir, base);
  const adapters = { shipped: await read(shipped), warm: await read(warmStart) };
  const { config } = base;
  const shape = [adapters.shipped, adapters.warm].reduce(
    (covered, adapter) =>
      adapter === null ? covered : coveringShape(config, covered, adapter.shape),
    recipe.lora,
  );
  const fresh = () => freshLora(config, shape, random);
  const first = adapters.warm ?? adapters.shipped;
  const theta = first === null ? fresh() : laidOver(first, { config, shape }, fresh);
  return { shape, theta, reference: referenceOf() };

  function referenceOf(): Float32Array {
    if (recipe.dpo?.reference === 'start') return theta;
    if (adapters.shipped === null) return noLora(config, shape);
    return flattenLora(config, adapters.shipped, shape);
  }
}
