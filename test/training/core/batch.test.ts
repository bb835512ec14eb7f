import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collate, epochBatches, scoringBatches } from '../../../src/training/core/batch.ts';
import { seededRandom } from '../../../src/training/core/random.ts';
import type { TokenExample } from '../../../src/training/core/token-example.ts';

const SEED = '0123456789abcdef0123456789abcdef';
const examples: fc.Arbitrary<TokenExample[]> = fc
  .array(
    fc
      .tuple(fc.array(fc.nat(999), { minLength: 1 }), fc.array(fc.nat(999), { minLength: 1 }))
      .map(([prompt, answer]) => ({ ids: [...prompt, ...answer], promptLength: prompt.length })),
    { minLength: 1, maxLength: 40 },
  )
  .map((list) => list.map((example, i) => ({ ...example, sha256: `${i}` })));

describe('collate', () => {
  it('asks at each row for exactly the tokens of its answer, one position ahead', () => {
    const batch = collate([
      { sha256: 'a', ids: [10, 11, 12, 13], promptLength: 2 },
      { sha256: 'b', ids: [20, 21], promptLength: 1 },
    ]);
    expect(batch.length).toBe(4);
    expect([...batch.ids]).toEqual([10n, 11n, 12n, 13n, 20n, 21n, 0n, 0n]);
    expect([...batch.positions]).toEqual([1n, 2n, 4n]);
    expect([...batch.targets]).toEqual([12n, 13n, 21n]);
    expect([...batch.weights]).toEqual([1 / 3, 1 / 3, 1 / 3].map(Math.fround));
  });

  it('never asks at a padded position, and finds the token before each target', () => {
    fc.assert(
      fc.property(examples, (list) => {
        const batch = collate(list);
        const answers = list.flatMap(({ ids, promptLength }) => ids.slice(promptLength));
        expect([...batch.targets].map(Number)).toEqual(answers);
        const before = list.flatMap(({ ids, promptLength }) => ids.slice(promptLength - 1, -1));
        expect([...batch.positions].map((at) => Number(batch.ids[Number(at)]))).toEqual(before);
      }),
    );
  });
});

describe('batches', () => {
  it('hold every example of an epoch once, in as few batches as its size allows', () => {
    fc.assert(
      fc.property(examples, fc.integer({ min: 1, max: 8 }), (list, batchSize) => {
        for (const batches of [
          epochBatches(list, batchSize, seededRandom(SEED)),
          scoringBatches(list, batchSize),
        ]) {
          expect(batches).toHaveLength(Math.ceil(list.length / batchSize));
          const seen = batches.flatMap((batch) => batch.examples.map(({ sha256 }) => sha256));
          expect(seen.sort()).toEqual(list.map(({ sha256 }) => sha256).sort());
        }
      }),
    );
  });

  it('come in an order that follows from the seed, and another one each epoch', () => {
    const list = Array.from({ length: 30 }, (_, i) => ({
      sha256: `${i}`,
      ids: Array.from({ length: 3 + ((i * 7) % 11) }, () => i),
      promptLength: 1,
    }));
    const order = (source: () => number) =>
      epochBatches(list, 4, source).map(({ examples: rows }) => rows.map(({ sha256 }) => sha256));
    const random = seededRandom(SEED);
    const first = order(random);
    expect(order(seededRandom(SEED))).toEqual(first);
    expect(order(random)).not.toEqual(first);
  });

  it('waste little on padding: rows of a batch are of like length', () => {
    const list = Array.from({ length: 64 }, (_, i) => ({
      sha256: `${i}`,
      ids: new Array<number>(20 + ((i * 37) % 100)).fill(1),
      promptLength: 1,
    }));
    const tokens = list.reduce((sum, { ids }) => sum + ids.length, 0);
    const padded = epochBatches(list, 4, seededRandom(SEED)).reduce(
      (sum, b) => sum + b.ids.length,
      0,
    );
    expect(tokens / padded).toBeGreaterThan(0.8);
  });
});
