// The lessons of a run, one after the other: writing, preferring, or both.

import type { Judge, Learner } from './learner.ts';
import { preferenceEpochSteps, preferenceLesson } from './preference-lesson.ts';
import type { Random } from './random.ts';
import type { DpoRecipe, Recipe } from './recipe.ts';
import type { TokenExample } from './token-example.ts';
import type { TokenisedParts } from './tokenise-parts.ts';
import { type Checkpoints, type LoopResult, type StepReport, train } from './train-loop.ts';
import { writingLesson } from './writing-lesson.ts';

/** What a run's lessons need. */
export interface LearnOptions {
  readonly learner: Learner;
  /** Of writing; absent: theta as it is. */
  readonly judge?: Judge;
  /** The adapter before the first step. */
  readonly start: Float32Array;
  /** The model that preferences must not stray from, where no writing comes before them: else it is what writing made. */
  readonly reference: Float32Array;
  readonly randomOf: (purpose: string) => Random;
  readonly onStep: (report: StepReport) => void;
  /** By the purpose of the lesson's random numbers; null: nothing is kept. */
  readonly checkpointsOf: (purpose: string) => Checkpoints | null;
}

/** Trains by the recipe's objective. The steps of a second lesson go on from those of the first one, whose reports
 *  count them in. */
export async function learn(
  recipe: Recipe,
  parts: TokenisedParts,
  options: LearnOptions,
): Promise<LoopResult> {
  const { dpo } = recipe;
  const { pairs, thumbs } = parts.train;
  if (dpo === undefined || pairs.length + thumbs.length === 0) return write(recipe, parts, options);
  if (!dpo.afterWriting || parts.train.examples.length === 0)
    return prefer({ ...recipe, dpo }, parts, options);
  const replayed = parts.train.examples;
  const { batchSize } = recipe;
  const epochSteps = preferenceEpochSteps(parts.train, { ...dpo, batchSize, replayed });
  const written = await write(recipe, parts, {
    ...options,
    onStep: (report) =>
      options.onStep({ ...report, totalSteps: report.totalSteps + dpo.epochs * epochSteps }),
  });
  const preferred = await prefer({ ...recipe, dpo }, parts, {
    ...{ ...options, start: written.theta, replayed },
    // beside the base, what writing taught would outweigh all that the pairs say: none of them would teach anything
    reference: written.theta,
    onStep: after(written.losses, options.onStep),
  });
  return {
    theta: preferred.theta,
    losses: [...written.losses, ...preferred.losses],
    validationLosses: [...written.validationLosses, ...preferred.validationLosses],
  };
}

function write(
  recipe: Recipe,
  { train: taught, validation }: TokenisedParts,
  options: LearnOptions,
): Promise<LoopResult> {
  const data = { train: taught.examples, validation: validation.examples };
  const lesson = writingLesson(options.learner, data, recipe.batchSize, options.judge);
  return train(lesson, { ...recipe, ...loopOptions(options, 'order') });
}

async function prefer(
  recipe: Recipe & { readonly dpo: DpoRecipe },
  { train: taught, validation }: TokenisedParts,
  options: LearnOptions & { readonly replayed?: readonly TokenExample[] },
): Promise<LoopResult> {
  const { dpo, batchSize, maxTokens } = recipe;
  const { learner, reference, replayed = [] } = options;
  const chosen = { ...dpo, batchSize, maxTokens, reference, replayed };
  const lesson = await preferenceLesson(learner, { train: taught, validation }, chosen);
  return train(lesson, {
    ...recipe,
    learningRate: recipe.learningRate * dpo.learningRateShare,
    epochs: dpo.epochs,
    patience: dpo.epochs,
    ...loopOptions(options, 'order of pairs'),
  });
}

function loopOptions(options: LearnOptions, purpose: string) {
  const { start, randomOf, onStep, checkpointsOf } = options;
  const checkpoints = checkpointsOf(purpose);
  const kept = checkpoints === null ? {} : { checkpoints };
  return { theta: start, random: randomOf(purpose), onStep, ...kept };
}

/** Reports whose steps go on from those of an earlier lesson. */
function after(earlier: readonly number[], onStep: LearnOptions['onStep']): LearnOptions['onStep'] {
  const steps = earlier.length;
  return ({ step, totalSteps, losses, ...report }) =>
    onStep({
      ...report,
      step: steps + step,
      totalSteps: steps + totalSteps,
      losses: [...earlier, ...losses],
    });
}
