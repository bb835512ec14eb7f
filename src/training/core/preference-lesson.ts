// Preferring one answer to another, or answers with a thumb up to those with a thumb down.

import { type Batch, epochBatches, epochGroups } from './batch.ts';
import type { Learner } from './learner.ts';
import { marginsOf, preferenceLoss } from './margins.ts';
import {
  collatePairs,
  type DpoOptions,
  type PreferenceBatch,
  type TokenPair,
} from './preference-batch.ts';
import { type Random, shuffled } from './random.ts';
import {
  collateThumbs,
  referenceOfThumbs,
  type ThumbBatch,
  thumbLoss,
  withDistance,
} from './thumb-batch.ts';
import type { TokenExample } from './token-example.ts';
import { matchThumbs, type TokenThumb } from './token-thumb.ts';
import type { Lesson } from './train-loop.ts';

/** With fewer the validation part decides nothing, and the last epoch is kept: one pair that the first ratings make worse
 *  would throw away all that they taught. */
const LEAST_VALIDATION = 4;

/** What a part of a dataset says of preferences. */
export interface Judged {
  readonly pairs: readonly TokenPair[];
  readonly thumbs: readonly TokenThumb[];
}

/** What the lesson is told. */
export interface PreferenceLessonOptions extends DpoOptions {
  readonly batchSize: number;
  readonly maxTokens: number;
  /** The model not to stray from. */
  readonly reference: Float32Array;
  /** Examples that go on being written, `replay` for each preference; each comes up again only when all have. */
  readonly replayed: readonly TokenExample[];
  readonly replay: number;
}

/** Preferring the pairs' chosen answers (DPO). Lone thumbs are set against each other, up against down, as pairs of unlike
 *  prompts; those of the kind that there is more of are left to themselves (KTO). A batch has as many rows as one of
 *  writing: half as many pairs, or as many thumbs. */
export async function preferenceLesson(
  learner: Learner,
  parts: { readonly train: Judged; readonly validation: Judged },
  options: PreferenceLessonOptions,
): Promise<Lesson<Batch | PreferenceBatch | ThumbBatch>> {
  const { batchSize, beta, maxTokens, reference: theta } = options;
  const [train, validation] = [paired(parts.train), paired(parts.validation)];
  const size = pairsOf(batchSize);
  const margins = await marginsOf(learner, [...train.pairs, ...validation.pairs], theta);
  const start = { theta, maxTokens };
  const taught = await referenceOfThumbs(learner, train.thumbs, start);
  const unseen = await referenceOfThumbs(learner, validation.thumbs, start);
  const weights = options.thumbWeights;
  const pairBatches = (random: Random) =>
    epochGroups(train.pairs, { size, random, lengthOf: longerLength }).map((pairs) =>
      collatePairs(pairs, margins, options),
    );
  const thumbBatches = (random: Random) =>
    epochGroups(train.thumbs, { size: batchSize, random, lengthOf: answerIds }).map((thumbs) =>
      collateThumbs(thumbs, taught, { beta, weights }),
    );
  const { replayed } = options;
  const counts = countBatches(train, options);
  const writingBatches = (random: Random) => {
    const batches: Batch[] = [];
    while (batches.length < counts.writing)
      batches.push(...epochBatches(replayed, batchSize, random));
    return batches.slice(0, counts.writing);
  };
  return {
    epochSteps: counts.pairs + counts.thumbs + counts.writing,
    // what a model without an opinion has; after a first lesson the loss may start far below it by chance
    leastFirstLoss: Math.LN2,
    epoch: (random) => {
      const kinds = [pairBatches(random), thumbBatches(random), writingBatches(random)];
      return shuffled(kinds.flat(), random);
    },
    step: async (batch, at) => {
      if ('signs' in batch)
        return learner.preferenceStep(await withDistance(learner, batch, at), at);
      return 'pairs' in batch ? learner.preferenceStep(batch, at) : learner.step(batch, at);
    },
    validationLoss: async (at) => {
      const { pairs, thumbs } = validation;
      if (pairs.length + thumbs.length < LEAST_VALIDATION) return null;
      const run = { reference: unseen, theta: at, beta, weights };
      const total =
        preferenceLoss(await marginsOf(learner, pairs, at), margins, beta) +
        (await thumbLoss(learner, thumbs, run));
      return total / (pairs.length + thumbs.length);
    },
  };
}

/** How many steps an epoch of the lesson has. */
export function preferenceEpochSteps(train: Judged, options: BatchOptions): number {
  const { pairs, thumbs, writing } = countBatches(paired(train), options);
  return pairs + thumbs + writing;
}

/** What the number of batches follows from. */
type BatchOptions = Pick<PreferenceLessonOptions, 'batchSize' | 'replayed' | 'replay'>;

function countBatches({ pairs, thumbs }: Judged, { batchSize, replayed, replay }: BatchOptions) {
  const written = replayed.length === 0 ? 0 : replay * (pairs.length + thumbs.length);
  return {
    pairs: Math.ceil(pairs.length / pairsOf(batchSize)),
    thumbs: Math.ceil(thumbs.length / batchSize),
    writing: Math.ceil(written / batchSize),
  };
}

/** How many pairs have as many rows as a batch of writing. */
function pairsOf(batchSize: number): number {
  return Math.ceil(batchSize / 2);
}

/** Of 60 lone thumbs as many pairs teach as much as 60 real ones, and thumbs by themselves about half (docs/lab-log.md). */
function paired({ pairs, thumbs }: Judged): Judged {
  const matched = matchThumbs(thumbs);
  const inPairs = new Set(matched.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  return {
    pairs: [...pairs, ...matched],
    thumbs: thumbs.filter(({ answer }) => !inPairs.has(answer)),
  };
}

function longerLength({ chosen, rejected }: TokenPair): number {
  return Math.max(chosen.ids.length, rejected.ids.length);
}

function answerIds({ answer }: TokenThumb): number {
  return answer.ids.length;
}
