// The training loop: batches in, the best adapter seen out. It knows no graph, file or process, and runs anywhere.

import { type AdamWState, clipping, newAdamW, stepAdamW } from './adamw.ts';
import type { Batch } from './batch.ts';
import { lowest } from './compare-losses.ts';
import type { LossAndGradient } from './learner.ts';
import type { Random } from './random.ts';
import { learningRateAt } from './schedule.ts';
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

/** What the loop learns: its batches, and how well they are learnt. */
export interface Lesson<B extends Batch> {
  /** How many batches an epoch has. */
  readonly epochSteps: number;
  /** A first loss below this says nothing: losses are never called exploded for having grown from it. */
  readonly leastFirstLoss: number;
  epoch(random: Random): readonly B[];
  step(batch: B, theta: Float32Array): Promise<LossAndGradient>;
  /** Decides when to stop and which epoch to keep; null without a validation part: the last epoch is kept. */
  validationLoss(theta: Float32Array): Promise<number | null>;
}

/** How far the loop is. */
export interface StepReport {
  /** 1-based. */
  readonly step: number;
  readonly totalSteps: number;
  /** Loss of this step's batch, before the step. */
  readonly loss: number;
  /** Losses of all steps, oldest first, this one's last; also of those before a checkpoint that the loop went on from. */
  readonly losses: readonly number[];
  readonly learningRate: number;
  /** Tokens of the batch, padding not counted. */
  readonly tokens: number;
}

/** What the loop found. */
export interface LoopResult {
  /** The adapter with the lowest validation loss, the earliest of equals; the start counts as one. */
  readonly theta: Float32Array;
  readonly losses: readonly number[];
  /** Validation loss at the start and after each epoch; empty without a validation part. */
  readonly validationLosses: readonly number[];
}

// A loss this many times the first one, so often in a row, does not come back.
const EXPLODED = 4;
const EXPLODED_STEPS = 3;

/** Everything that changes while the loop runs: copy it, and the loop can go on from there. */
export interface LoopState {
  readonly theta: Float32Array;
  readonly optimiser: AdamWState;
  readonly losses: number[];
  readonly validationLosses: number[];
  best: Float32Array;
  /** Epochs that are over. */
  epochs: number;
  /** Steps of the epoch that is not over. */
  epochSteps: number;
}

/** Where the state after each epoch is kept, and after some of the steps; the loop's end does not depend on it. */
export interface Checkpoints {
  /** How many steps of an epoch may be lost; left out: all of them. */
  readonly everySteps?: number;
  /** The newest state of this very loop, or null. */
  read(): Promise<LoopState | null>;
  write(state: LoopState): Promise<void>;
}

/** Trains `theta` (copied, not changed) until the epochs are over or the validation loss stops falling.
 *  Same inputs, same result, bit for bit, if the learner's are; also for a loop that goes on from a checkpoint.
 *  Throws UntrainableError when the loss is no number or explodes; the signal's reason when it aborts. */
export async function train<B extends Batch>(
  lesson: Lesson<B>,
  options: LoopOptions & {
    readonly theta: Float32Array;
    readonly random: Random;
    readonly signal?: AbortSignal;
    readonly onStep?: (report: StepReport) => void;
    readonly checkpoints?: Checkpoints;
  },
): Promise<LoopResult> {
  const state = (await options.checkpoints?.read()) ?? (await begin(lesson, options.theta));
  // the order of the epochs to come depends on the random numbers that those before them took
  for (let epoch = 0; epoch < state.epochs; epoch += 1) lesson.epoch(options.random);
  while (state.epochs < options.epochs) {
    if (epochsSinceBest(state) >= options.patience) break;
    for (const batch of lesson.epoch(options.random).slice(state.epochSteps)) {
      options.signal?.throwIfAborted();
      const report = await step(lesson, batch, state, options);
      options.onStep?.(report);
      state.epochSteps += 1;
      const { everySteps } = options.checkpoints ?? {};
      if (everySteps !== undefined && state.epochSteps % everySteps === 0)
        await options.checkpoints?.write(state);
    }
    await validate(lesson, state);
    state.epochs += 1;
    state.epochSteps = 0;
    await options.checkpoints?.write(state);
  }
  return { theta: state.best, losses: state.losses, validationLosses: state.validationLosses };
}

async function begin<B extends Batch>(lesson: Lesson<B>, theta: Float32Array): Promise<LoopState> {
  const state: LoopState = {
    theta: theta.slice(),
    optimiser: newAdamW(theta.length),
    losses: [],
    validationLosses: [],
    best: theta,
    epochs: 0,
    epochSteps: 0,
  };
  await validate(lesson, state);
  return state;
}

async function step<B extends Batch>(
  lesson: Lesson<B>,
  batch: B,
  state: LoopState,
  options: LoopOptions,
): Promise<StepReport> {
  const { loss, gradient } = await lesson.step(batch, state.theta);
  state.losses.push(loss);
  const { norm, scale } = clipping(gradient, options.clipNorm);
  checkConvergence(state.losses, norm, lesson.leastFirstLoss);
  const totalSteps = lesson.epochSteps * options.epochs;
  const learningRate = learningRateAt(state.optimiser.steps, {
    totalSteps,
    warmupShare: options.warmupShare,
    peak: options.learningRate,
  });
  stepAdamW(state.theta, gradient, state.optimiser, {
    ...{ learningRate, gradientScale: scale },
    weightDecay: options.weightDecay,
  });
  return {
    step: state.losses.length,
    totalSteps,
    loss,
    losses: [...state.losses],
    learningRate,
    tokens: batch.examples.reduce((sum, { ids }) => sum + ids.length, 0),
  };
}

function checkConvergence(
  losses: readonly number[],
  gradientNorm: number,
  leastFirstLoss: number,
): void {
  const first = Math.max(losses[0] ?? 0, leastFirstLoss);
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

async function validate<B extends Batch>(lesson: Lesson<B>, state: LoopState): Promise<void> {
  const loss = await lesson.validationLoss(state.theta);
  if (loss === null) {
    state.best = state.theta;
    return;
  }
  state.validationLosses.push(loss);
  if (epochsSinceBest(state) === 0) state.best = state.theta.slice();
}

function epochsSinceBest({ validationLosses }: LoopState): number {
  return validationLosses.length - 1 - lowest(validationLosses);
}
