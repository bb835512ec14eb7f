// Answers with lone thumbs into batches of preference optimisation (KTO).

import { type Batch, collate } from './batch.ts';
import type { Learner } from './learner.ts';
import type { PreferenceBatch, ThumbWeights } from './preference-batch.ts';
import { scoreExamples } from './score.ts';
import type { TokenExample } from './token-example.ts';
import { mismatchedAnswers, type TokenThumb } from './token-thumb.ts';

/** A batch of thumbs: before each step the model's distance from the reference is measured on `mismatched`. */
export interface ThumbBatch extends PreferenceBatch {
  /** Null: the distance counts as zero. */
  readonly mismatched: Batch | null;
  /** Mean over the mismatched rows of their answers' log-probability under the reference, in nats. */
  readonly mismatchedReference: number;
  /** +beta for a thumb up, -beta for a thumb down: f32[N] */
  readonly signs: Float32Array;
}

/** What is known of a lesson's thumbs before its first step. */
export interface ThumbReference {
  readonly mismatched: ReadonlyMap<TokenThumb, TokenExample>;
  /** log p of each row under the reference model, in nats: of the answers and of the mismatched ones. */
  readonly logProbs: ReadonlyMap<TokenExample, number>;
}

/** Pairs each thumb of a set with a mismatched answer and measures both under `theta`. */
export async function referenceOfThumbs(
  learner: Learner,
  thumbs: readonly TokenThumb[],
  { theta, maxTokens }: { readonly theta: Float32Array; readonly maxTokens: number },
): Promise<ThumbReference> {
  const mismatched = mismatchedAnswers(thumbs, maxTokens);
  const rows = [...thumbs.map(({ answer }) => answer), ...mismatched.values()];
  return { mismatched, logProbs: await logProbsOf(learner, rows, theta) };
}

/** log p of each row's answer under `theta`, in nats. */
async function logProbsOf(
  learner: Learner,
  rows: readonly TokenExample[],
  theta: Float32Array,
): Promise<ReadonlyMap<TokenExample, number>> {
  const scores = await scoreExamples(learner, rows, theta);
  return new Map(rows.map((row, i) => [row, -(scores[i]?.nll ?? 0)]));
}

/** Pads and flattens thumbs; `reference` has all of them. */
export function collateThumbs(
  thumbs: readonly TokenThumb[],
  reference: ThumbReference,
  { beta, weights }: { readonly beta: number; readonly weights: ThumbWeights },
): ThumbBatch {
  const batch = collate(thumbs.map(({ answer }) => answer));
  const M = batch.targets.length;
  const N = thumbs.length;
  const signs = Float32Array.from(thumbs, ({ isGood }) => (isGood ? beta : -beta));
  const rows = new Float32Array(N * M);
  let at = 0;
  for (const [row, { answer }] of thumbs.entries()) {
    const end = at + answer.ids.length - answer.promptLength;
    rows.fill(signs[row] ?? 0, row * M + at, row * M + end);
    at = end;
  }
  const logProb = (row: TokenExample) => reference.logProbs.get(row) ?? 0;
  const mismatched = thumbs.flatMap((thumb) => reference.mismatched.get(thumb) ?? []);
  return {
    ...batch,
    weights: new Float32Array(M),
    pairs: rows,
    reference: Float32Array.from(thumbs, ({ answer }, i) => (signs[i] ?? 0) * logProb(answer)),
    pairWeights: new Float32Array(N),
    thumbWeights: Float32Array.from(
      thumbs,
      ({ isGood }) => (isGood ? weights.up : weights.down) / N,
    ),
    mismatched: mismatched.length === 0 ? null : collate(mismatched),
    mismatchedReference: mean(mismatched.map(logProb)),
    signs,
  };
}

/** The batch as the preference step takes it at `theta`: the distance from the reference, never below zero and without a
 *  gradient, is what an answer's log ratio is compared to. */
export async function withDistance(
  learner: Learner,
  batch: ThumbBatch,
  theta: Float32Array,
): Promise<PreferenceBatch> {
  if (batch.mismatched === null) return batch;
  const logProbs = await learner.logProbs(batch.mismatched, theta);
  const total = logProbs.reduce((sum, value) => sum + value, 0);
  const moved = total / batch.mismatched.examples.length - batch.mismatchedReference;
  const distance = Math.max(0, moved);
  return {
    ...batch,
    reference: batch.reference.map((value, i) => value + (batch.signs[i] ?? 0) * distance),
  };
}

/** The sum over thumbs of weight * (1 - value): KTO's loss, with the distance measured on the whole set. */
export async function thumbLoss(
  learner: Learner,
  thumbs: readonly TokenThumb[],
  run: {
    readonly reference: ThumbReference;
    readonly theta: Float32Array;
    readonly beta: number;
    readonly weights: ThumbWeights;
  },
): Promise<number> {
  const { reference, theta, beta, weights } = run;
  const mismatched = [...reference.mismatched.values()];
  const rows = [...thumbs.map(({ answer }) => answer), ...mismatched];
  const logProbs = await logProbsOf(learner, rows, theta);
  const ratio = (row: TokenExample) =>
    (logProbs.get(row) ?? 0) - (reference.logProbs.get(row) ?? 0);
  const distance = Math.max(0, mean(mismatched.map(ratio)));
  return thumbs.reduce((sum, { answer, isGood }) => {
    const x = beta * (ratio(answer) - distance) * (isGood ? 1 : -1);
    return sum + (isGood ? weights.up : weights.down) / (1 + Math.exp(x));
  }, 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
