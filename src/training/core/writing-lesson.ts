// Writing given answers.

import { type Batch, epochBatches } from './batch.ts';
import type { Judge, Learner } from './learner.ts';
import { meanLoss, scoreExamples } from './score.ts';
import type { TokenExample } from './token-example.ts';
import type { Lesson } from './train-loop.ts';

/** What is learnt from, and what decides when to stop. */
export interface WritingData {
  readonly train: readonly TokenExample[];
  readonly validation: readonly TokenExample[];
}

/** Writing the examples' answers (SFT). */
export function writingLesson(
  learner: Learner,
  { train, validation }: WritingData,
  batchSize: number,
  judge: Judge = { scorer: learner, asPublished: (theta) => theta },
): Lesson<Batch> {
  return {
    epochSteps: Math.ceil(train.length / batchSize),
    leastFirstLoss: 0,
    epoch: (random) => epochBatches(train, batchSize, random),
    step: (batch, theta) => learner.step(batch, theta),
    validationLoss: async (theta) => {
      if (validation.length === 0) return null;
      return meanLoss(await scoreExamples(judge.scorer, validation, judge.asPublished(theta)));
    },
  };
}
