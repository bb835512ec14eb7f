import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collate } from '../../../src/training/core/batch.ts';
import { microBatches } from '../../../src/training/core/micro-batches.ts';
import { collatePairs, type PreferenceBatch } from '../../../src/training/core/preference-batch.ts';
import type { TokenExample } from '../../../src/training/core/token-example.ts';

const rows: fc.Arbitrary<TokenExample[]> = fc
  .array(fc.tuple(fc.integer({ min: 2, max: 30 }), fc.integer({ min: 1, max: 10 })), {
    minLength: 1,
    maxLength: 12,
  })
  .map((list) =>
    list.map(([length, answer], i) => ({
      sha256: `${i}`,
      ids: Array.from({ length: length + answer }, (_, at) => 100 * i + at),
      promptLength: length,
    })),
  );

const sumOf = (values: Iterable<number>) => [...values].reduce((sum, value) => sum + value, 0);

describe('microBatches', () => {
  it('hold every row once, in order, with its targets and its shares of the loss', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 200 }), (list, mostTokens) => {
        const batch = collate(list);
        const pieces = microBatches(batch, mostTokens);
        expect(pieces.flatMap(({ examples }) => examples)).toEqual(list);
        expect(pieces.flatMap(({ targets }) => [...targets])).toEqual([...batch.targets]);
        expect(pieces.flatMap(({ weights }) => [...weights])).toEqual([...batch.weights]);
      }),
    );
  });

  it('have no more tokens with their padding than they may, unless a row alone has', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 200 }), (list, mostTokens) => {
        for (const { examples, ids } of microBatches(collate(list), mostTokens))
          if (examples.length > 1) expect(ids.length).toBeLessThanOrEqual(mostTokens);
      }),
    );
  });

  it('are the batch itself where it is small enough', () => {
    const batch = collate([{ sha256: 'a', ids: [1, 2, 3], promptLength: 1 }]);
    expect(microBatches(batch, 3)).toEqual([batch]);
    expect(microBatches(batch, 3)[0]).toBe(batch);
  });

  it('keep the rows of a pair together, and weigh each pair and target as the batch does', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 200 }), (list, mostTokens) => {
        const pairs = list.flatMap((chosen, i) => {
          const rejected = list[i + 1];
          return rejected === undefined ? [] : [{ sha256: `${i}`, chosen, rejected }];
        });
        if (pairs.length === 0) return;
        const margins = new Map(pairs.map((pair, i) => [pair, i / 7]));
        const batch = collatePairs(pairs, margins, { beta: 0.1, sftWeight: 0.2 });
        const pieces = microBatches(batch, mostTokens);
        const both = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
        expect(pieces.flatMap(({ examples }) => examples)).toEqual(both);
        for (const { examples, reference } of pieces)
          expect(examples).toHaveLength(2 * reference.length);
        const joined = (name: keyof PreferenceBatch) =>
          pieces.flatMap((piece) => [...(piece[name] as Float32Array)]);
        for (const name of ['reference', 'pairWeights', 'thumbWeights', 'weights'] as const)
          expect(joined(name)).toEqual([...batch[name]]);
        // with every target as likely as the next, a pair's margin is beta times what its answers differ in length
        const margin = ({ pairs: signs, reference }: PreferenceBatch) => {
          const M = signs.length / reference.length;
          return [...reference].map((_, n) => sumOf(signs.subarray(n * M, (n + 1) * M)));
        };
        const own = margin(batch);
        expect(pieces.flatMap(margin).map((value) => value.toFixed(4))).toEqual(
          own.map((value) => value.toFixed(4)),
        );
      }),
    );
  });
});
