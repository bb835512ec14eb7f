import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../src/training/core/batch.ts';
import type { Learner } from '../../../src/training/core/learner.ts';
import { seededRandom } from '../../../src/training/core/random.ts';
import type { TokenExample } from '../../../src/training/core/token-example.ts';
import { type LoopOptions, type StepReport, train } from '../../../src/training/core/train-loop.ts';
import { UntrainableError } from '../../../src/training/core/untrainable-error.ts';
import { writingLesson } from '../../../src/training/core/writing-lesson.ts';

const OPTIONS: LoopOptions = {
  learningRate: 0.1,
  warmupShare: 0.1,
  weightDecay: 0,
  clipNorm: 100,
  epochs: 12,
  batchSize: 2,
  patience: 2,
};

/** A target token of value v is foretold with -log p = (theta - v/10)^2: the smallest model there can be. */
function bowl(change: (loss: number, step: number) => number = (loss) => loss): Learner {
  let steps = 0;
  const errors = (batch: Batch, theta: Float32Array) =>
    [...batch.targets].map((target) => (theta[0] ?? 0) - Number(target) / 10);
  return {
    step: (batch, theta) => {
      steps += 1;
      const list = errors(batch, theta);
      const loss = list.reduce((sum, e) => sum + e * e, 0) / list.length;
      const slope = list.reduce((sum, e) => sum + 2 * e, 0) / list.length;
      return Promise.resolve({ loss: change(loss, steps), gradient: Float32Array.of(slope) });
    },
    preferenceStep: () => Promise.reject(new Error('there are no pairs')),
    logProbs: (batch, theta) =>
      Promise.resolve(Float32Array.from(errors(batch, theta), (e) => -e * e)),
  };
}

function examplesOf(values: readonly number[]): TokenExample[] {
  return values.map((value, i) => ({ sha256: `${value}.${i}`, ids: [0, value], promptLength: 1 }));
}

function run(learner: Learner, data: { train: number[]; validation: number[] }, options = {}) {
  const parts = { train: examplesOf(data.train), validation: examplesOf(data.validation) };
  return train(writingLesson(learner, parts, OPTIONS.batchSize), {
    ...OPTIONS,
    theta: Float32Array.of(0),
    random: seededRandom('0123456789abcdef0123456789abcdef'),
    ...options,
  });
}

const SIMILAR = { train: [9, 10, 11, 10, 9, 11], validation: [10, 10] };

describe('the training loop', () => {
  it('learns what the examples have in common', async () => {
    const { theta, losses, validationLosses } = await run(bowl(), SIMILAR);
    expect(Math.abs((theta[0] ?? 0) - 1)).toBeLessThan(0.1);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 10);
    expect(validationLosses[0]).toBeCloseTo(1, 5);
    expect(Math.min(...validationLosses)).toBeLessThan(0.01);
  });

  it('does not touch the parameters it was given', async () => {
    const theta = Float32Array.of(0);
    await run(bowl(), SIMILAR, { theta });
    expect(theta[0]).toBe(0);
  });

  it('gives the same bits for the same data, recipe and seed', async () => {
    const first = await run(bowl(), SIMILAR);
    expect(await run(bowl(), SIMILAR)).toEqual(first);
  });

  it('reports every step of the plan', async () => {
    const reports: StepReport[] = [];
    await run(bowl(), SIMILAR, { patience: 99, onStep: (r: StepReport) => reports.push(r) });
    expect(reports.map(({ step }) => step)).toEqual(Array.from({ length: 36 }, (_, i) => i + 1));
    for (const { totalSteps, tokens } of reports) expect([totalSteps, tokens]).toEqual([36, 4]);
  });

  it('stops when the validation loss no longer falls, and keeps the best epoch', async () => {
    // validation wants 0.3 and training pulls on to 1: the best is somewhere on the way
    const data = { train: [10, 10, 10, 10], validation: [3] };
    const { theta, validationLosses, losses } = await run(bowl(), data);
    const best = Math.min(...validationLosses);
    expect(validationLosses.length - 1 - validationLosses.indexOf(best)).toBe(OPTIONS.patience);
    expect(losses.length).toBeLessThan(2 * OPTIONS.epochs);
    expect(((theta[0] ?? 0) - 0.3) ** 2).toBeCloseTo(best, 6);
  });

  it('keeps the same epoch where the last digits of the validation losses are others', async () => {
    const options = { patience: 99, epochs: 4 };
    const measured = (losses: readonly number[]) => {
      let epoch = 0;
      const scorer: Pick<Learner, 'logProbs'> = {
        logProbs: () => {
          epoch += 1;
          return Promise.resolve(Float32Array.of(-(losses[epoch - 1] ?? 0)));
        },
      };
      const judge = { scorer, asPublished: (theta: Float32Array) => theta };
      const parts = { train: examplesOf([10, 10]), validation: examplesOf([10]) };
      return train(writingLesson(bowl(), parts, OPTIONS.batchSize, judge), {
        ...{ ...OPTIONS, ...options, theta: Float32Array.of(0) },
        random: seededRandom('0123456789abcdef0123456789abcdef'),
      });
    };
    const here = await measured([0.9, 0.5, 0.6, 0.5, 0.7]);
    const there = await measured([0.9, 0.5000001, 0.6, 0.4999999, 0.7]);
    const lower = await measured([0.9, 0.5, 0.6, 0.4999, 0.7]);
    expect(there.validationLosses).not.toEqual(here.validationLosses);
    expect(there.theta).toEqual(here.theta);
    expect(lower.theta).not.toEqual(here.theta);
  });

  it('keeps the start when nothing it learns helps on the validation part', async () => {
    const { theta } = await run(bowl(), { train: [10, 10], validation: [-10] });
    expect(theta[0]).toBe(0);
  });

  it('keeps the last epoch when there is no validation part', async () => {
    const { theta, validationLosses, losses } = await run(bowl(), {
      train: [10, 10],
      validation: [],
    });
    expect(validationLosses).toEqual([]);
    expect(losses).toHaveLength(OPTIONS.epochs);
    expect(theta[0]).toBeGreaterThan(0.2);
  });

  it('ends with a reason when the loss is not a number', async () => {
    const learner = bowl((loss, step) => (step === 5 ? Number.NaN : loss));
    await expect(run(learner, SIMILAR)).rejects.toThrow(UntrainableError);
    await expect(
      run(
        bowl((_, step) => (step === 5 ? Number.NaN : 1)),
        SIMILAR,
      ),
    ).rejects.toThrow('step 5: loss NaN');
  });

  it('ends with a reason when the loss explodes, and forgives a single outlier', async () => {
    const exploding = bowl((_, step) => (step < 6 ? 1 : 50));
    await expect(run(exploding, SIMILAR)).rejects.toThrow('step 8: the loss went from 1.000 to 50');
    const outlier = bowl((loss, step) => (step === 6 ? 50 : loss));
    await expect(run(outlier, SIMILAR)).resolves.toBeDefined();
  });

  it('ends with the reason of an abort, before the next step', async () => {
    const abort = new AbortController();
    let steps = 0;
    const onStep = () => {
      steps += 1;
      if (steps === 3) abort.abort(new Error('newer data'));
    };
    await expect(run(bowl(), SIMILAR, { onStep, signal: abort.signal })).rejects.toThrow(
      'newer data',
    );
    expect(steps).toBe(3);
  });
});
