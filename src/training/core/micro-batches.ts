// A step's batch in pieces whose gradients add up to its own: what is kept for the way back grows with the tokens of a piece, not
// with those of a batch.

import { type Batch, collate } from './batch.ts';
import type { PreferenceBatch } from './preference-batch.ts';
import type { TokenExample } from './token-example.ts';

/** The batch's rows in their order, as many together as have `mostTokens` with their padding, one at least; of a preference
 *  batch the rows of a pair stay together. Losses and gradients of the pieces sum to those of the batch. */
export function microBatches<B extends Batch | PreferenceBatch>(
  batch: B,
  mostTokens: number,
): readonly B[] {
  const units = unitsOf(batch);
  const pieces: Unit[][] = [];
  for (const unit of units) {
    const piece = pieces.at(-1);
    if (piece !== undefined && paddedTokens([...piece, unit]) <= mostTokens) piece.push(unit);
    else pieces.push([unit]);
  }
  return pieces.length === 1 ? [batch] : pieces.map((piece) => pieceOf(batch, piece));
}

/** Rows that a loss takes together, and which of the batch's targets are theirs. */
interface Unit {
  readonly place: number;
  readonly examples: readonly TokenExample[];
  readonly from: number;
  readonly to: number;
}

function unitsOf(batch: Batch | PreferenceBatch): readonly Unit[] {
  const { examples } = batch;
  const count = 'pairs' in batch ? batch.reference.length : examples.length;
  const size = examples.length / count;
  let to = 0;
  return Array.from({ length: count }, (_, place) => {
    const own = examples.slice(place * size, (place + 1) * size);
    const from = to;
    to += own.reduce((sum, { ids, promptLength }) => sum + ids.length - promptLength, 0);
    return { place, examples: own, from, to };
  });
}

function paddedTokens(units: readonly Unit[]): number {
  const lengths = units.flatMap(({ examples }) => examples.map(({ ids }) => ids.length));
  return lengths.length * Math.max(...lengths);
}

function pieceOf<B extends Batch | PreferenceBatch>(batch: B, units: readonly Unit[]): B {
  const [from, to] = [units[0]?.from, units.at(-1)?.to];
  const rows = {
    ...batch,
    ...collate(units.flatMap(({ examples }) => examples)),
    weights: batch.weights.slice(from, to),
  };
  if (!('pairs' in batch)) return rows;
  const [first, end] = [units[0]?.place ?? 0, (units.at(-1)?.place ?? 0) + 1];
  const M = batch.targets.length;
  const pairs = units.flatMap(({ place }) => [
    ...batch.pairs.subarray(place * M + (from ?? 0), place * M + (to ?? M)),
  ]);
  return {
    ...rows,
    pairs: Float32Array.from(pairs),
    reference: batch.reference.slice(first, end),
    pairWeights: batch.pairWeights.slice(first, end),
    thumbWeights: batch.thumbWeights.slice(first, end),
  };
}
