import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isBelow, lowest } from '../../../src/training/core/compare-losses.ts';

describe('comparing losses', () => {
  it('sees a true difference, and none in the last digits of floats', () => {
    expect(isBelow(2.3456, 2.3457)).toBe(true);
    expect(isBelow(2.3457, 2.3456)).toBe(false);
    for (const d of [-1e-7, 0, 1e-7]) expect(isBelow(2.3456 + d, 2.3456)).toBe(false);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) expect(isBelow(bad, 1)).toBe(false);
    expect(isBelow(1, Number.NaN)).toBe(false);
  });

  it('keeps the first of the lowest', () => {
    expect(lowest([])).toBe(-1);
    expect(lowest([3, 2, 2.0000001, 1.9999999, 4])).toBe(1);
    expect(lowest([3, 2, 1.9999])).toBe(2);
    expect(lowest([3, Number.NaN, 2])).toBe(2);
  });

  it('chooses alike from the same losses with other last digits', () => {
    const losses = fc.array(fc.integer({ min: 0, max: 60_000 }), { minLength: 1, maxLength: 8 });
    const noises = fc.array(fc.double({ min: -1e-7, max: 1e-7, noNaN: true }), { minLength: 8 });
    fc.assert(
      fc.property(losses, noises, (steps, noise) => {
        const here = steps.map((step) => step * 1e-4);
        const there = here.map((loss, i) => loss + (noise[i] ?? 0));
        expect(lowest(there)).toBe(lowest(here));
      }),
    );
  });
});
