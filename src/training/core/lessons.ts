// The two things an adapter can learn: to write given answers, and to prefer one answer to another.

import { type Batch, epochBatches, epochGroups } from './batch.ts';
import type { Learner } from './learner.ts';
import { marginsOf, meanPreferenceLoss } from './margins.ts';
import {
  collatePairs,
  type DpoOptions,
  type PreferenceBatch,
  type TokenPair,
} from './preference-batch.ts';
import { meanLoss, scoreExamples } from './score.ts';
import type { TokenExample } from './token-example.ts';
import type { Lesson } from './train-loop.ts';

/** What is learnt from, and what decides when to stop. */
export interface LessonData<T> {
  readonly train: readonly T[];
  readonly validation: readonly T[];
}

/** Writing the examples' answers (SFT). */
export function writingLesson(
  learner: Learner,
  { train, validation }: LessonData<TokenExample>,
  batchSize: number,
): Lesson<Batch> {
  return {
    epochSteps: Math.ceil(train.length / batchSize),
    leastFirstLoss: 0,
    epoch: (random) => epochBatches(train, batchSize, random),
    step: (batch, theta) => learner.step(batch, theta),
    validationLoss: async (theta) =>
      validation.length === 0 ? null : meanLoss(await scoreExamples(learner, validation, theta)),
  };
}

/** Preferring the pairs' chosen answers (DPO), with the model under `reference` as the one not to stray from.
 *  A batch has as many rows as one of writing, which is half as many pairs. */
export async function preferenceLesson(
  learner: Learner,
  { train, validation }: LessonData<TokenPair>,
  options: DpoOptions & { readonly batchSize: number; readonly reference: Float32Array },
): Promise<Lesson<PreferenceBatch>> {
  const size = Math.ceil(options.batchSize / 2);
  const reference = await marginsOf(learner, [...train, ...validation], options.reference);
  return {
    epochSteps: Math.ceil(train.length / size),
    // what a model without an opinion has; after a first lesson the loss may start far below it by chance
    leastFirstLoss: Math.LN2,
    epoch: (random) =>
      epochGroups(train, { size, random, lengthOf: longerLength }).map((pairs) =>
        collatePairs(pairs, reference, options),
      ),
    step: (batch, theta) => learner.preferenceStep(batch, theta),
    validationLoss: async (theta) => {
      if (validation.length === 0) return null;
      const margins = await marginsOf(learner, validation, theta);
      return meanPreferenceLoss(margins, reference, options.beta);
    },
  };
}

function longerLength({ chosen, rejected }: TokenPair): number {
  return Math.max(chosen.ids.length, rejected.ids.length);
}
