// Examples into batches: rows of like length, padded at the end, and the supervised positions picked out.

import { type Random, shuffled } from './random.ts';
import type { TokenExample } from './token-example.ts';

/** What one training step sees. Rows are padded at their end to S = `length`; causal attention keeps the padding out. */
export interface Batch {
  readonly examples: readonly TokenExample[];
  readonly length: number;
  /** i64[B, S] */
  readonly ids: BigInt64Array;
  /** Where in the B*S flattened tokens the model is asked for a target token: i64[M] */
  readonly positions: BigInt64Array;
  /** The token it should name there: i64[M] */
  readonly targets: BigInt64Array;
  /** Each target's share of the loss, 1 / M: the loss is the mean over the batch's target tokens. f32[M] */
  readonly weights: Float32Array;
}

// The window within which examples are sorted by length: wide enough to save padding, narrow enough that
// an epoch's batches differ from the last one's.
const WINDOW_BATCHES = 4;

/** One pass over the examples in a random order, batched with little padding. */
export function epochBatches(
  examples: readonly TokenExample[],
  batchSize: number,
  random: Random,
): readonly Batch[] {
  return epochGroups(examples, { size: batchSize, random, lengthOf: idCount }).map(collate);
}

/** One pass over the items in a random order, in groups of like length. */
export function epochGroups<T>(
  items: readonly T[],
  options: {
    readonly size: number;
    readonly random: Random;
    readonly lengthOf: (item: T) => number;
  },
): readonly (readonly T[])[] {
  const { size, random, lengthOf } = options;
  const windows = chunks(shuffled(items, random), size * WINDOW_BATCHES);
  const groups = windows.flatMap((window) => chunks(byLength(window, lengthOf), size));
  return shuffled(groups, random);
}

/** Batches for measuring: every example once, the longest together. */
export function scoringBatches(
  examples: readonly TokenExample[],
  batchSize: number,
): readonly Batch[] {
  return chunks(byLength(examples, idCount), batchSize).map(collate);
}

/** Pads and flattens the examples. */
export function collate(examples: readonly TokenExample[]): Batch {
  const length = Math.max(...examples.map((example) => example.ids.length));
  const ids = new BigInt64Array(examples.length * length);
  const positions: bigint[] = [];
  const targets: bigint[] = [];
  for (const [row, example] of examples.entries()) {
    ids.set(example.ids.map(BigInt), row * length);
    for (const [at, id] of example.ids.entries()) {
      if (at < example.promptLength) continue;
      // the token at `at` is predicted from the position before it
      positions.push(BigInt(row * length + at - 1));
      targets.push(BigInt(id));
    }
  }
  return {
    examples,
    length,
    ids,
    positions: BigInt64Array.from(positions),
    targets: BigInt64Array.from(targets),
    weights: new Float32Array(targets.length).fill(1 / targets.length),
  };
}

function idCount({ ids }: TokenExample): number {
  return ids.length;
}

function byLength<T>(items: readonly T[], lengthOf: (item: T) => number): readonly T[] {
  return [...items].sort((a, b) => lengthOf(a) - lengthOf(b));
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}
