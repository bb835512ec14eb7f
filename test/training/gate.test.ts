import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideGate, type HoldoutMeasure } from '../../src/training/gate.ts';

const GATE = { marginNats: 0.01, minHoldout: 4 };

/** Examples of ten tokens each, with these mean losses per token. */
function measures(list: readonly { candidate: number; base: number; live?: number }[]) {
  const examples = list.map(
    ({ candidate, base, live }, i): HoldoutMeasure => ({
      sha256: `${i}`,
      tokens: 10,
      candidate: 10 * candidate,
      base: 10 * base,
      live: live === undefined ? null : 10 * live,
    }),
  );
  return { examples };
}

const repeated = (count: number, one: { candidate: number; base: number; live?: number }) =>
  measures(Array.from({ length: count }, () => one));

describe('decideGate', () => {
  it('passes a first adapter that is better than the base, with all figures', () => {
    expect(decideGate(repeated(5, { candidate: 2, base: 3 }), GATE)).toEqual({
      holdoutExamples: 5,
      loss: 2,
      baseLoss: 3,
      previousLoss: null,
      preferenceAccuracy: null,
      passed: true,
      reason: "held-out loss 2.0000 is below the base model's 3.0000",
    });
  });

  it.each([
    ['equal to the base', { candidate: 3, base: 3 }, "is not below the base model's 3.0000"],
    ['worse than the base', { candidate: 3.5, base: 3 }, "is not below the base model's 3.0000"],
    [
      'better than live, worse than the base',
      { candidate: 3.5, base: 3, live: 4 },
      "is not below the base model's 3.0000",
    ],
    [
      'worse than live in every example',
      { candidate: 2.5, base: 3, live: 2 },
      "held-out loss 2.5000 is worse than the live adapter's 2.0000 by more than 0.0100",
    ],
  ])('rejects an adapter that is %s', (_, one, reason) => {
    const verdict = decideGate(repeated(5, one), GATE);
    expect(verdict.passed).toBe(false);
    expect(verdict.reason).toContain(reason);
  });

  it.each([
    ['better than live', { candidate: 1.5, base: 3, live: 2 }],
    ['equal to live', { candidate: 2, base: 3, live: 2 }],
    ['worse than live by less than the margin', { candidate: 2.009, base: 3, live: 2 }],
  ])('passes an adapter that is %s', (_, one) => {
    const verdict = decideGate(repeated(5, one), GATE);
    expect(verdict).toMatchObject({ passed: true, previousLoss: 2 });
    expect(verdict.reason).toContain("the live adapter's is 2.0000");
  });

  it('forgives a difference to live that is within one standard error', () => {
    // differences of +-1 nat per token around a mean of 0.1: far from certain
    const list = [1.1, -0.9, 1.1, -0.9, 1.1, -0.9].map((d) => ({
      candidate: 3 + d,
      base: 9,
      live: 3,
    }));
    expect(decideGate(measures(list), { ...GATE, marginNats: 0 }).passed).toBe(true);
    // the same mean difference without the doubt
    const sure = repeated(6, { candidate: 3.1, base: 9, live: 3 });
    expect(decideGate(sure, { ...GATE, marginNats: 0 }).passed).toBe(false);
  });

  it('says that there is too little to judge by', () => {
    const verdict = decideGate(repeated(3, { candidate: 1, base: 3 }), GATE);
    expect(verdict).toMatchObject({ passed: false, holdoutExamples: 3 });
    expect(verdict.reason).toBe('TOO_LITTLE_DATA: 3 held-out examples, 4 are needed');
    expect(decideGate({ examples: [] }, GATE)).toMatchObject({ passed: false, loss: null });
  });

  it('never passes a loss that is not a number', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const verdict = decideGate(repeated(5, { candidate: bad, base: 3 }), GATE);
      expect(verdict).toMatchObject({ passed: false, loss: null });
    }
  });

  const example = fc.record({
    sha256: fc.string(),
    tokens: fc.integer({ min: 1, max: 50 }),
    candidate: fc.double({ min: 0, max: 100, noNaN: true }),
    base: fc.double({ min: 0, max: 100, noNaN: true }),
    live: fc.double({ min: 0, max: 100, noNaN: true }),
  });
  const holdouts = fc.array(example, { minLength: 4, maxLength: 30 });

  it('holds its promise on any measures', () => {
    fc.assert(
      fc.property(holdouts, fc.double({ min: 0, max: 1, noNaN: true }), (examples, marginNats) => {
        const { passed, loss, baseLoss, previousLoss } = decideGate(
          { examples },
          { ...GATE, marginNats },
        );
        const [l, b, p] = [Number(loss), Number(baseLoss), Number(previousLoss)];
        if (passed) expect(l).toBeLessThan(b);
        if (l < b && l <= p + marginNats) expect(passed).toBe(true);
        if (l >= b) expect(passed).toBe(false);
      }),
    );
  });

  it('does not depend on the order of the examples, and is only helped by a larger margin', () => {
    fc.assert(
      fc.property(holdouts, (examples) => {
        const verdict = decideGate({ examples }, GATE);
        expect(decideGate({ examples: [...examples].reverse() }, GATE).passed).toBe(verdict.passed);
        const lenient = decideGate({ examples }, { ...GATE, marginNats: 100 });
        if (verdict.passed) expect(lenient.passed).toBe(true);
      }),
    );
  });
});
