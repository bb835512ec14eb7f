import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { argMax, sampleToken, uniform } from '../../../src/inference/core/sampler.ts';

const logits = Float32Array.of(0, 2, 1, 3, -1);
const probabilities = softmax([0, 2, 1, 3, -1]);

function softmax(values: number[]): number[] {
  const weights = values.map(Math.exp);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

function shares(sampling: { temperature: number; topP: number }, draws: number): number[] {
  const counts = logits.map(() => 0);
  for (let place = 0; place < draws; place += 1) {
    const token = sampleToken(logits, { ...sampling, seed: 5 }, place);
    counts[token] = (counts[token] ?? 0) + 1;
  }
  return Array.from(counts, (count) => count / draws);
}

test('takes the most likely token at temperature 0, the first of several', () => {
  const greedy = { temperature: 0, topP: 1, seed: 1 };
  expect(sampleToken(logits, greedy, 0)).toBe(3);
  expect(sampleToken(Float32Array.of(1, 7, 7), greedy, 9)).toBe(1);
});

test('refuses logits that are not numbers', () => {
  expect(() => argMax(new Float32Array(4).fill(Number.NaN))).toThrow('none of the 4 logits');
});

describe('drawn tokens', () => {
  // The seed is fixed, so these either always pass or always fail; with a free one, a share of 20,000 draws would be off
  // by 0.015 once in 20,000 times.
  test('come as often as their probability says', () => {
    const drawn = shares({ temperature: 1, topP: 1 }, 20_000);
    for (const [i, share] of drawn.entries())
      expect(Math.abs(share - (probabilities[i] ?? 0))).toBeLessThan(0.015);
  });

  test('are spread out by a high temperature', () => {
    const drawn = shares({ temperature: 2, topP: 1 }, 20_000);
    const expected = softmax([0, 1, 0.5, 1.5, -0.5]);
    for (const [i, share] of drawn.entries())
      expect(Math.abs(share - (expected[i] ?? 0))).toBeLessThan(0.015);
  });

  test('stay within the smallest set of likely tokens that reaches topP', () => {
    // 0.64 and 0.24 are the two largest probabilities
    const drawn = shares({ temperature: 1, topP: 0.7 }, 2000);
    expect(drawn.map((share) => share > 0)).toEqual([false, true, false, true, false]);
    expect(drawn[3]).toBeCloseTo(0.73, 1);
  });

  test('are the most likely one where topP is less than its share', () => {
    expect(shares({ temperature: 1, topP: 0.01 }, 50)[3]).toBe(1);
  });

  test('are found far down in a flat distribution', () => {
    const flat = new Float32Array(2000);
    const drawn = Array.from({ length: 200 }, (_, place) =>
      sampleToken(flat, { temperature: 1, topP: 0.999, seed: 3 }, place),
    );
    expect(Math.max(...drawn)).toBeLessThan(1998);
    expect(Math.max(...drawn)).toBeGreaterThan(1900);
  });

  test('always have a probability, and repeat with seed and place', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -60, max: 60, noNaN: true }), { minLength: 1, maxLength: 40 }),
        fc.record({
          temperature: fc.double({ min: 0.05, max: 5, noNaN: true }),
          topP: fc.double({ min: 0.001, max: 1, noNaN: true }),
          seed: fc.integer(),
        }),
        fc.nat(),
        (values, sampling, place) => {
          const row = Float32Array.from(values);
          const token = sampleToken(row, sampling, place);
          const below = (row[token] ?? Number.NaN) - Math.max(...row);
          const weight = Math.exp(below / sampling.temperature);
          return weight > 0 && sampleToken(row, sampling, place) === token;
        },
      ),
    );
  });
});

test('numbers of a seed are even over 0 to 1 and differ from seed to seed', () => {
  const numbers = Array.from({ length: 10_000 }, (_, i) => uniform(1, i));
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const number of numbers)
    tenths[Math.floor(number * 10)] = (tenths[Math.floor(number * 10)] ?? 0) + 1;
  // chi-square with 9 degrees of freedom exceeds 27.9 once in a thousand seeds
  expect(tenths.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(27.9);
  expect(uniform(1, 7)).not.toBe(uniform(2, 7));
  expect(new Set(numbers).size).toBe(10_000);
});
