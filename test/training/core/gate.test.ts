import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isBelow } from '../../../src/training/core/compare-losses.ts';
import { decideGate, type HoldoutMeasure } from '../../../src/training/core/gate.ts';

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
      probeLoss: null,
      baseProbeLoss: null,
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

  const LIKED = { candidate: 2, base: 1, live: null };
  /** Pairs of which so many are right, one more is a tie where it says so, and the rest are wrong. */
  const pairs = (right: number, wrong: number, ties = 0) => [
    ...Array.from({ length: right }, (_, i) => ({ ...LIKED, sha256: `r${i}` })),
    ...Array.from({ length: wrong }, (_, i) => ({ ...LIKED, sha256: `w${i}`, candidate: -1 })),
    ...Array.from({ length: ties }, (_, i) => ({ ...LIKED, sha256: `t${i}`, candidate: 1 })),
  ];
  const better = repeated(5, { candidate: 2, base: 3 });

  it('says how many held-out pairs are right, a tie counting half', () => {
    const verdict = decideGate({ ...better, preferences: pairs(5, 2, 1) }, GATE);
    expect(verdict).toMatchObject({ passed: true, preferenceAccuracy: 5.5 / 8 });
    expect(verdict.reason).toContain('; held-out preference accuracy 0.688');
  });

  it('rejects an adapter that prefers clearly against the user, unless the pairs are too few to tell', () => {
    const verdict = decideGate({ ...better, preferences: pairs(3, 13) }, GATE);
    expect(verdict).toMatchObject({ passed: false, preferenceAccuracy: 3 / 16 });
    expect(verdict.reason).toBe('held-out preference accuracy 0.188 on 16 pairs is below 0.375');
    for (const few of [pairs(0, 1), pairs(6, 10), pairs(1, 3)])
      expect(decideGate({ ...better, preferences: few }, GATE).passed).toBe(true);
  });

  it('rejects an adapter that forgot preferences which the live one knew, unless it may be chance', () => {
    const knownToLive = (right: number, wrong: number) =>
      pairs(right, wrong).map((pair) => ({ ...pair, live: 2 }));
    const verdict = decideGate({ ...better, preferences: knownToLive(10, 6) }, GATE);
    expect(verdict).toMatchObject({ passed: false, preferenceAccuracy: 0.625 });
    expect(verdict.reason).toBe(
      "held-out preference accuracy 0.625 on 16 pairs is below the live adapter's 1.000 by more than 0.250",
    );
    for (const few of [knownToLive(6, 2), knownToLive(1, 1), pairs(10, 6)])
      expect(decideGate({ ...better, preferences: few }, GATE).passed).toBe(true);
    const gained = pairs(16, 0).map((pair) => ({ ...pair, live: -1 }));
    expect(decideGate({ ...better, preferences: gained }, GATE).passed).toBe(true);
  });

  it('takes a margin that is not a number for a wrong one', () => {
    const preferences = [{ sha256: 'x', candidate: Number.NaN, base: 0, live: null }];
    expect(decideGate({ ...better, preferences }, GATE).preferenceAccuracy).toBe(0);
  });

  it('asks of an adapter that learnt preferences alone that it is right more often than not', () => {
    const dpo = { ...GATE, objective: 'DPO' } as const;
    const slightlyWorse = repeated(5, { candidate: 3.005, base: 3 });
    const muchWorse = repeated(5, { candidate: 3.5, base: 3 });
    expect(decideGate({ ...slightlyWorse, preferences: pairs(5, 3) }, dpo)).toMatchObject({
      passed: true,
      reason: expect.stringContaining("is hardly above the base model's 3.0000"),
    });
    expect(decideGate({ ...slightlyWorse, preferences: pairs(4, 4) }, dpo).reason).toBe(
      'held-out preference accuracy 0.500 on 8 pairs is not above 0.5',
    );
    expect(decideGate({ ...muchWorse, preferences: pairs(8, 0) }, dpo).reason).toContain(
      "is worse than the base model's 3.0000 by more than 0.0100",
    );
    expect(decideGate(slightlyWorse, dpo).passed).toBe(false);
  });

  it('says the same of losses and margins that only the last digits of floats tell apart', () => {
    const noise = [-1e-7, 0, 1e-7];
    const verdicts = (one: { candidate: number; base: number; live?: number }) =>
      noise.map((d) => {
        const shifted = { ...one, candidate: one.candidate + d };
        const preferences = [{ ...LIKED, sha256: 'p', candidate: 1 + d }];
        const probe = { tokens: 10, candidate: 35 + 10 * d, base: 30 };
        const measured = { ...repeated(5, shifted), preferences, probe };
        const gate = { ...GATE, probeMarginNats: 0.5 };
        const { passed, preferenceAccuracy, reason } = decideGate(measured, gate);
        return [passed, preferenceAccuracy, reason];
      });
    for (const one of [
      { candidate: 3, base: 3 },
      { candidate: 2.9999, base: 3 },
      { candidate: 2.01, base: 3, live: 2 },
    ]) {
      const [first, ...others] = verdicts(one);
      expect(others).toEqual([first, first]);
    }
    expect(verdicts({ candidate: 2.9999, base: 3 })[0]?.slice(0, 2)).toEqual([true, 0.5]);
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
        if (isBelow(l, b) && l <= p + marginNats) expect(passed).toBe(true);
        if (!isBelow(l, b)) expect(passed).toBe(false);
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

describe('the general probe', () => {
  const good = repeated(5, { candidate: 2, base: 3 });
  const gate = { ...GATE, probeMarginNats: 0.5 };
  const withProbe = (candidate: number, base = 3) => ({
    ...good,
    probe: { tokens: 100, candidate: 100 * candidate, base: 100 * base },
  });

  it('is recorded, and passes an adapter that foretells general text nearly as the base does', () => {
    expect(decideGate(withProbe(3.5), gate)).toMatchObject({
      ...{ probeLoss: 3.5, baseProbeLoss: 3, passed: true },
    });
  });

  it('rejects an adapter that unlearns the language, and says so', () => {
    const { passed, reason } = decideGate(withProbe(3.6), gate);
    expect(passed).toBe(false);
    expect(reason).toBe(
      "the adapter unlearns: its loss on the general probe 3.6000 is worse than the base model's 3.0000 by more than 0.5000",
    );
  });

  it('rejects an adapter whose loss on it is no number', () => {
    expect(decideGate(withProbe(Number.NaN), gate)).toMatchObject({
      ...{ probeLoss: null, passed: false },
      reason: 'the loss on the general probe is not a number',
    });
  });

  it('comes after the held-out losses', () => {
    const worse = { ...withProbe(9), ...repeated(5, { candidate: 4, base: 3 }) };
    expect(decideGate(worse, gate).reason).toContain("is not below the base model's");
  });
});

describe('decideGate on pairs alone', () => {
  const pairs = (right: number, wrong: number) => ({
    examples: [],
    preferences: [...Array(right).fill(1), ...Array(wrong).fill(-1)].map((candidate, i) => ({
      ...{ sha256: `${i}`, candidate, base: 0, live: null },
    })),
  });
  const gate = { ...GATE, objective: 'DPO' } as const;

  it('passes what gets more than half of them right, and has no loss', () => {
    expect(decideGate(pairs(3, 1), gate)).toMatchObject({
      ...{ passed: true, holdoutExamples: 0, loss: null, baseLoss: null },
      ...{ preferenceAccuracy: 0.75, reason: 'held-out preference accuracy 0.750' },
    });
  });

  it.each([
    ['half of them right', pairs(2, 2), gate, 'not above 0.5'],
    ['too few', pairs(3, 0), gate, 'TOO_LITTLE_DATA'],
    ['a mode that learns to write', pairs(4, 0), GATE, 'TOO_LITTLE_DATA'],
    [
      'half of them, after writing',
      pairs(2, 2),
      { ...GATE, objective: 'SFT_THEN_DPO' },
      'not above',
    ],
  ] as const)('rejects %s', (_, measured, options, reason) => {
    const verdict = decideGate(measured, options);
    expect(verdict.passed).toBe(false);
    expect(verdict.reason).toContain(reason);
  });
});
