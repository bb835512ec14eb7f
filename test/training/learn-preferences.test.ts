// What ratings teach within a run: pairs and lone thumbs, alone or after writing.

import { describe, expect, it } from 'vitest';
import { must } from '../../src/lib/errors.ts';
import { decideGate, figuresOf } from '../../src/training/core/gate.ts';
import type { TrainingProgress } from '../../src/training/training-job.ts';
import { useTrainingFolder } from '../support/training/training-folder.ts';
import {
  rulePairs,
  ruleThumbs,
  SMALL_DPO,
  SMALL_RECIPE,
} from '../support/training/training-job.ts';

const { jobOf, run } = useTrainingFolder();

describe('a run that learns preferences', () => {
  it.each([
    ['alone', false],
    ['after writing', true],
  ])('learns preferences %s, so that unseen pairs come out right', async (_, afterWriting) => {
    const dpo = { ...SMALL_DPO, afterWriting };
    const progress: TrainingProgress[] = [];
    const job = jobOf({ recipe: { ...SMALL_RECIPE, dpo }, preferences: rulePairs(30) });
    const result = await run(job, (step) => progress.push(step));
    const gate = { marginNats: 0, minHoldout: 4, objective: 'SFT_THEN_DPO' } as const;
    expect(decideGate(result.measures, gate).preferenceAccuracy).toBe(1);
    // 21 pairs, two a step, for three epochs; writing takes 18 steps
    expect(result.steps).toBe(afterWriting ? 18 + 33 : 33);
    expect(progress.map(({ step }) => step)).toEqual(result.losses.map((__, i) => i + 1));
    expect(progress.map(({ totalSteps }) => totalSteps)).toEqual(
      result.losses.map(() => result.steps),
    );
    expect(progress.map(({ losses }) => losses)).toEqual(
      result.losses.map((__, i) => result.losses.slice(0, i + 1)),
    );
    const again = await run({ ...jobOf(), ...job, outDir: `${job.outDir}-again` });
    expect(again.files).toEqual(result.files);
  });

  it.each([
    ['alone', 0],
    ['beside pairs', 12],
  ])('learns from lone thumbs %s, so that unseen pairs come out right', async (_, pairCount) => {
    const recipe = { ...SMALL_RECIPE, dpo: SMALL_DPO };
    const pairs = rulePairs(30).filter(({ split }, i) => split === 'holdout' || i < pairCount);
    const job = jobOf({ recipe, examples: [], preferences: pairs, thumbs: ruleThumbs(30) });
    const result = await run(job);
    const gate = { marginNats: 0, minHoldout: 4, objective: 'DPO' } as const;
    // 6 held-out pairs, and 6 held-out thumbs that make 3 more
    expect(result.measures.preferences).toHaveLength(9);
    expect(decideGate(result.measures, gate)).toMatchObject({
      passed: true,
      preferenceAccuracy: 1,
    });
    // 11 thumbs up and 11 down make as many pairs, with 9 others; two a step
    expect(result.steps).toBe(3 * (pairCount === 0 ? 6 : 10));
    const again = await run({ ...job, outDir: `${job.outDir}-again` });
    expect(again.files).toEqual(result.files);
  });

  it('learns from thumbs of one kind alone without calling other answers bad', async () => {
    const recipe = { ...SMALL_RECIPE, dpo: SMALL_DPO };
    const thumbs = ruleThumbs(30).map((thumb) => ({ ...thumb, isGood: true }));
    const { losses, steps } = await run(jobOf({ recipe, examples: [], thumbs }));
    expect(steps).toBe(18);
    expect(losses.every(Number.isFinite)).toBe(true);
  });

  it('only measures preferences where the recipe does not learn them', async () => {
    const recipe = { ...SMALL_RECIPE, epochs: 1 };
    const plain = await run(jobOf({ recipe }));
    const measured = await run(jobOf({ recipe, preferences: rulePairs(30) }));
    expect(measured.files[1]).toEqual(plain.files[1]);
    expect(measured.lineage.figures.preferences).toBe(0);
    expect(measured.measures.examples).toEqual(plain.measures.examples);
    expect(measured.measures.preferences).toHaveLength(6);
    expect(plain.measures.preferences).toEqual([]);
  });

  it('learns to write where a mode of preferences has none yet', async () => {
    const { losses, measures } = await run(jobOf({ recipe: { ...SMALL_RECIPE, dpo: SMALL_DPO } }));
    expect(losses).toHaveLength(18);
    expect(decideGate(measures, { marginNats: 0, minHoldout: 4 }).passed).toBe(true);
  });

  it('learns from pairs where there is no example at all', async () => {
    const recipe = { ...SMALL_RECIPE, dpo: { ...SMALL_DPO, afterWriting: true } };
    const job = jobOf({ recipe, examples: [], preferences: rulePairs(30) });
    const { measures, steps } = await run(job);
    expect(steps).toBe(33);
    const gate = { marginNats: 0, minHoldout: 4, objective: 'SFT_THEN_DPO' } as const;
    expect(decideGate(measures, gate)).toMatchObject({
      ...{ passed: true, loss: null, preferenceAccuracy: 1 },
    });
  });

  it('keeps the last epoch where fewer than four pairs are there to judge the epochs by', async () => {
    const recipe = { ...SMALL_RECIPE, epochs: 1, dpo: SMALL_DPO };
    const judged = async (count: number) => {
      const { validationLosses } = await run(jobOf({ recipe, preferences: rulePairs(count) }));
      return validationLosses.length;
    };
    // a tenth of them; where they judge, the start is judged too
    expect([await judged(30), await judged(40)]).toEqual([0, 1 + SMALL_DPO.epochs]);
  });

  it('measures preferences from what writing made, where it comes first', async () => {
    const dpo = { ...SMALL_DPO, sftWeight: 0, afterWriting: true };
    const recipe = { ...SMALL_RECIPE, epochs: 1, dpo };
    const { losses } = await run(jobOf({ recipe, preferences: rulePairs(30) }));
    // six steps of writing; then a model that is its own reference has no opinion
    expect(losses[6]).toBeCloseTo(Math.LN2, 6);
  });

  it('goes on writing the examples while it prefers, so that they are not pushed out', async () => {
    const learnt = async (replay: number) => {
      const dpo = { ...SMALL_DPO, learningRateShare: 2, sftWeight: 0, afterWriting: true, replay };
      const recipe = { ...SMALL_RECIPE, dpo };
      const { measures, steps } = await run(jobOf({ recipe, preferences: rulePairs(30) }));
      return { steps, loss: must(figuresOf(measures).loss, 'a loss') };
    };
    const [without, withReplay] = [await learnt(0), await learnt(2)];
    // 21 pairs want 42 examples an epoch: 11 steps of four
    expect(withReplay.steps - without.steps).toBe(3 * 11);
    expect(withReplay.loss).toBeLessThan(without.loss);
  });
});
