import fc from 'fast-check';
import { expect, it } from 'vitest';
import { learningRateAt } from '../../../src/training/core/schedule.ts';

const schedules = fc.record({
  peak: fc.double({ min: 1e-6, max: 1, noNaN: true }),
  totalSteps: fc.integer({ min: 1, max: 500 }),
  warmupShare: fc.double({ min: 0, max: 0.5, noNaN: true }),
});

it('climbs, then falls, and gives every step something to learn with', () => {
  fc.assert(
    fc.property(schedules, (schedule) => {
      const rates = Array.from({ length: schedule.totalSteps }, (_, i) =>
        learningRateAt(i, schedule),
      );
      const top = rates.indexOf(Math.max(...rates));
      for (const [i, rate] of rates.entries()) {
        expect(rate).toBeGreaterThan(0);
        expect(rate).toBeLessThanOrEqual(schedule.peak);
        const previous = rates[i - 1] ?? 0;
        if (i <= top) expect(rate).toBeGreaterThanOrEqual(previous);
        else expect(rate).toBeLessThan(previous);
      }
    }),
  );
});

it('warms up over the given share and is at half the peak half-way down', () => {
  const schedule = { peak: 2, totalSteps: 110, warmupShare: 10 / 110 };
  expect(learningRateAt(0, schedule)).toBeCloseTo(2 / 11, 10);
  expect(learningRateAt(10, schedule)).toBe(2);
  expect(learningRateAt(60, schedule)).toBeCloseTo(1, 10);
});
