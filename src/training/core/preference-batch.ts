// Pairs of answers into the batches of preference optimisation.

import { type Batch, collate } from './batch.ts';
import type { TokenExample } from './token-example.ts';

/** Two answers to one prompt, of which the first is to become the likelier one. */
export interface TokenPair {
  readonly sha256: string;
  readonly chosen: TokenExample;
  readonly rejected: TokenExample;
}

/** What the loss of a thumb up and that of a thumb down are multiplied by before the mean over a batch is taken. Those that are
 *  matched to each other (matchThumbs) are learnt as pairs and weigh what pairs do. */
export interface ThumbWeights {
  readonly up: number;
  readonly down: number;
}

/** What preference optimisation is told. */
export interface DpoOptions {
  /** How dear it is to leave the reference model: small values allow more. */
  readonly beta: number;
  /** How much of the loss of writing the chosen answers is added, so that they do not become less likely as well. */
  readonly sftWeight: number;
  /** Of lone thumbs that have no match. */
  readonly thumbWeights: ThumbWeights;
}

/** What one step of preference optimisation sees: rows chosen, rejected, chosen, rejected, ... for N pairs, or the rows of N
 *  answers with a lone thumb. */
export interface PreferenceBatch extends Batch {
  /** +beta at the targets of a pair's chosen row, -beta at those of its rejected one: f32[N, M] */
  readonly pairs: Float32Array;
  /** The sum that `pairs` stands for under the reference model: f32[N] */
  readonly reference: Float32Array;
  /** Each pair's share of the loss, 1 / N; 0 for a thumb: f32[N] */
  readonly pairWeights: Float32Array;
  /** Each thumb's share of the loss, its weight / N; 0 for a pair: f32[N] */
  readonly thumbWeights: Float32Array;
}

/** log p(chosen) - log p(rejected) of a pair, in nats. */
export type PairMargins = ReadonlyMap<TokenPair, number>;

/** Pads and flattens pairs. `reference` has the margins of all of them under the reference model.
 *  The weights of the writing loss are those of a mean over the chosen answers' target tokens, times sftWeight. */
export function collatePairs(
  pairs: readonly TokenPair[],
  reference: PairMargins,
  { beta, sftWeight }: Pick<DpoOptions, 'beta' | 'sftWeight'>,
): PreferenceBatch {
  const batch = collate(pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  const M = batch.targets.length;
  const chosenTokens = pairs.reduce((sum, { chosen }) => sum + answerLength(chosen), 0);
  const signs = new Float32Array(pairs.length * M);
  const weights = new Float32Array(M);
  let at = 0;
  for (const [row, { chosen, rejected }] of pairs.entries()) {
    const middle = at + answerLength(chosen);
    const end = middle + answerLength(rejected);
    weights.fill(sftWeight / chosenTokens, at, middle);
    signs.fill(beta, row * M + at, row * M + middle);
    signs.fill(-beta, row * M + middle, row * M + end);
    at = end;
  }
  return {
    ...batch,
    weights,
    pairs: signs,
    reference: Float32Array.from(pairs, (pair) => beta * (reference.get(pair) ?? 0)),
    pairWeights: new Float32Array(pairs.length).fill(1 / pairs.length),
    thumbWeights: new Float32Array(pairs.length),
  };
}

function answerLength({ ids, promptLength }: TokenExample): number {
  return ids.length - promptLength;
}
