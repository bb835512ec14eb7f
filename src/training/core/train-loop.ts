// The training loop: batches in, the best adapter seen out. It knows no graph, file or process, and runs anywhere.

import { type AdamWState, clipGradient, newAdamW, stepAdamW } from './adamw.ts';
import { type Batch, epochBatches } from './batch.ts';
import type { Learner } from './learner.ts';
import type { Random } from './random.ts';
import { learningRateAt } from './schedule.ts';
import { meanLoss, scoreExamples } from './score.ts';
import type { TokenExample } from './token-example.ts';
import { UntrainableError } from './untrainable-error.ts';

/** The choices the loop is given; `Recipe` has them all. */
export interface LoopOptions {
  readonly learningRate: number;
  readonly warmupShare: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly patience: number;
}

/** What the loop learns from. */
export interface LoopData {
  readonly train: readonly TokenExample[];
  /** Decides when to stop and which epoch to keep; empty: the last epoch is kept. */
  readonly validation: readonly TokenExample[];
}

/** How far the loop is. */
export interface StepReport {
  /** 1-based. */
  readonly step: number;
  readonly totalSteps: number;
  /** Mean negative log-likelihood per target token of this step's batch, before the step. */
  readonly loss: number;
  readonly learningRate: number;
  /** Tokens of the batch, padding not counted. */
  readonly tokens: number;
}

/** What the loop found. */
export interface LoopResult {
  /** The adapter with the lowest validation loss; the start counts as one. */
  readonly theta: Float32Array;
  readonly losses: readonly number[];
  /** Validation loss at the start and after each epoch; empty without a validation part. */
  readonly validationLosses: readonly number[];
}

// A loss this many times the first one, so often in a row, does not come back.
const EXPLODED = 4;
const EXPLODED_STEPS = 3;

/** Everything that changes while the loop runs: copy it, and the loop can go on from there. */
interface LoopState {
  readonly theta: Float32Array;
  readonly optimiser: AdamWState;
  readonly losses: number[];
  readonly validationLosses: number[];
  best: Float32Array;
}

/** Trains `theta` (copied, not changed) until the epochs are over or the validation loss stops falling.
 *  Same inputs, same result, bit for bit, if the learner's are.
 *  Throws UntrainableError when the loss is no number or explodes; the signal's reason when it aborts. */
export async function train(
  learner: Learner,
  data: LoopData,
  options: LoopOptions & {
    readonly theta: Float32Array;
    readonly random: Random;
    readonly signal?: AbortSignal;
    readonly onStep?: (report: StepReport) => void;
  },
): Promise<LoopResult> {
  const state: LoopState = {
    theta: options.theta.slice(),
    optimiser: newAdamW(options.theta.length),
    losses: [],
    validationLosses: [],
    best: options.theta,
  };
  await validate(learner, data.validation, state);
  for (let epoch = 0; epoch < options.epochs; epoch += 1) {
    if (epochsSinceBest(state) >= options.patience) break;
    for (const batch of epochBatches(data.train, options.batchSize, options.random)) {
      options.signal?.throwIfAborted();
      const report = await step(learner, batch, state, scheduleOf(data, options));
      options.onStep?.(report);
    }
    await validate(learner, data.validation, state);
  }
  return { theta: state.best, losses: state.losses, validationLosses: state.validationLosses };
}

type StepOptions = LoopOptions & { readonly totalSteps: number };

function scheduleOf(data: LoopData, options: LoopOptions): StepOptions {
  const stepsPerEpoch = Math.ceil(data.train.length / options.batchSize);
  return { ...options, totalSteps: stepsPerEpoch * options.epochs };
}

async function step(
  learner: Learner,
  batch: Batch,
  state: LoopState,
  options: StepOptions,
): Promise<StepReport> {
  const { loss, gradient } = await learner.step(batch, state.theta);
  state.losses.push(loss);
  const norm = clipGradient(gradient, options.clipNorm);
  checkConvergence(state.losses, norm);
  const learningRate = learningRateAt(state.optimiser.steps, {
    ...options,
    peak: options.learningRate,
  });
  stepAdamW(state.theta, gradient, state.optimiser, { ...options, learningRate });
  return {
    step: state.losses.length,
    totalSteps: options.totalSteps,
    loss,
    learningRate,
    tokens: batch.examples.reduce((sum, { ids }) => sum + ids.length, 0),
  };
}

function checkConvergence(losses: readonly number[], gradientNorm: number): void {
  const [first = 0] = losses;
  const loss = losses.at(-1);
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
    throw new UntrainableError(
      `step ${losses.length}: loss ${loss}, gradient length ${gradientNorm}: not a number to go on from`,
    );
  const recent = losses.slice(-EXPLODED_STEPS);
  if (losses.length > EXPLODED_STEPS && recent.every((value) => value > EXPLODED * first))
    throw new UntrainableError(
      `step ${losses.length}: the loss went from ${first.toFixed(3)} to ${recent.map((x) => x.toFixed(3)).join(', ')}`,
    );
}

async function validate(
  learner: Learner,
  examples: readonly TokenExample[],
  state: LoopState,
): Promise<void> {
  if (examples.length === 0) {
    state.best = state.theta;
    return;
  }
  const loss = meanLoss(await scoreExamples(learner, examples, state.theta));
  if (loss < Math.min(...state.validationLosses)) state.best = state.theta.slice();
  state.validationLosses.push(loss);
}

function epochsSinceBest({ validationLosses }: LoopState): number {
  return validationLosses.length - 1 - validationLosses.indexOf(Math.min(...validationLosses));
}
