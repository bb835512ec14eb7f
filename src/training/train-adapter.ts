// One training run, from texts to a measured adapter folder: the whole work of a trainer process.

import type { Lineage } from '../adapters/lineage.ts';
import { readPeftFolder, writePeftFolder } from '../adapters/peft.ts';
import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import type { Clock } from '../lib/clock.ts';
import { CODE_VERSION } from '../lib/code-version.ts';
import { sha256 } from '../lib/sha256.ts';
import { type Base, openBase } from '../model/base/base-package.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import {
  coveringShape,
  flattenLora,
  type LoraAdapter,
  type LoraShape,
  unflattenLora,
} from '../model/lora/lora.ts';
import { roundLora } from '../model/lora/lora-wire.ts';
import { baseProbeNll } from './base-probe.ts';
import { checkpointFiles } from './checkpoint-files.ts';
import { figuresOf, type HoldoutMeasures } from './core/gate.ts';
import { probeExamples } from './core/general-probe.ts';
import { learn } from './core/learn.ts';
import type { Judge, Learner } from './core/learner.ts';
import { measureHoldout } from './core/measure-holdout.ts';
import { type Random, seededRandom } from './core/random.ts';
import { recipeFrom, type StartKind } from './core/recipe.ts';
import { newCount, withReplay } from './core/replay.ts';
import { countNotes } from './core/token-example.ts';
import { type TokenisedParts, tokeniseParts } from './core/tokenise-parts.ts';
import type { Checkpoints, StepReport } from './core/train-loop.ts';
import { openStart } from './starting-point.ts';
import type { TrainingJob, TrainingProgress, TrainingResult } from './training-job.ts';
import { type LearnerPlace, openScorer, Workshop } from './workshop.ts';

/** What a run needs besides its job. */
export interface TrainAdapterOptions {
  readonly clock: Clock;
  readonly onProgress: (progress: TrainingProgress) => void;
  /** What is kept from run to run; absent: nothing is. */
  readonly workshop?: Workshop;
}

/** Trains and measures an adapter and writes its PEFT folder. Equal jobs write equal bytes.
 *  Throws UntrainableError when the data or the recipe cannot give an adapter. */
export async function trainAdapter(
  job: TrainingJob,
  options: TrainAdapterOptions,
): Promise<TrainingResult> {
  const workshop = options.workshop ?? new Workshop();
  try {
    return await trainIn(workshop, job, options);
  } finally {
    if (options.workshop === undefined) await workshop.close();
  }
}

async function trainIn(
  workshop: Workshop,
  job: TrainingJob,
  options: TrainAdapterOptions,
): Promise<TrainingResult> {
  // a deletion is followed by a run from scratch: nothing of what was deleted may be left here either
  if (job.warmStart === undefined) workshop.forgetScores();
  const base = await openBase(job.baseDir);
  const live = job.liveAdapterDir === null ? null : await readPeftFolder(job.liveAdapterDir, base);
  const tokenizer = await workshop.tokenizer(base);
  const parts = tokeniseParts(taughtBy(job), tokenizer);
  const probe = probeExamples(tokenizer, job.recipe.maxTokens);
  const { shape, theta, reference } = await openStart(job, base, randomOf(job, 'weights'));
  const { recipe: whole, threads = 1 } = job;
  const place = { base, lora: shape, recipe: whole, threads };
  const learner = await workshop.learner(place);
  const learnt = await learn(recipeFrom(startOf(job), whole), parts, {
    learner,
    judge: judgeOf(workshop.remembering(learner, place), { config: base.config, shape }),
    start: theta,
    reference,
    randomOf: (purpose) => randomOf(job, purpose),
    onStep: withSpeed(options),
    checkpointsOf: (purpose) => checkpointsOf(job, base, purpose),
  });
  // what is measured is what devices get
  const candidate = roundLora(unflattenLora(base.config, shape, learnt.theta));
  const measures = await measure(
    { ...parts.holdout, probe, baseProbeNll: await baseProbeNll(place, learner, probe) },
    { workshop, place, learner, candidate, live },
  );
  const lineage = lineageOf(job, base, { parts, measures, losses: learnt.losses });
  return {
    adapterDir: job.outDir,
    files: await writePeftFolder({ dir: job.outDir, seal: job.seal }, candidate, base, lineage),
    rank: shape.rank,
    lineage,
    measures,
    losses: learnt.losses,
    validationLosses: learnt.validationLosses,
    steps: learnt.losses.length,
    notes: parts.notes,
  };
}

/** Scores what would be published: a run that goes on from that soon begins with scores that are known. */
function judgeOf(
  scorer: Learner,
  { config, shape }: { readonly config: LlamaConfig; readonly shape: LoraShape },
): Judge {
  const rounded = (theta: Float32Array) => roundLora(unflattenLora(config, shape, theta));
  return { scorer, asPublished: (theta) => flattenLora(config, rounded(theta), shape) };
}

function startOf({ shipped, warmStart }: TrainingJob): StartKind {
  if (warmStart !== undefined) return 'earlier';
  return shipped === undefined ? 'fresh' : 'shipped';
}

/** The job with those of its examples and preferences that it learns: all of them, or what is new and a replay. */
function taughtBy(job: TrainingJob): TrainingJob {
  const { warmStart, recipe, examples, preferences, thumbs = [] } = job;
  if (warmStart === undefined) return job;
  const options = (purpose: string) => ({
    replay: recipe.incremental.replay,
    random: randomOf(job, purpose),
  });
  // what goes on being written while the new ones are preferred
  const beside = (recipe.dpo?.replay ?? 0) * newCount([...preferences, ...thumbs], warmStart);
  return {
    ...job,
    examples: withReplay(examples, warmStart, { ...options('replay'), beside }),
    preferences: withReplay(preferences, warmStart, options('replay of pairs')),
    thumbs: withReplay(thumbs, warmStart, options('replay of thumbs')),
  };
}

/** Random numbers that follow from the data, the recipe and the start alone, so that equal data gives equal adapters. */
function randomOf(job: TrainingJob, purpose: string): Random {
  return seededRandom(sha256(nameOf(job, purpose)));
}

/** Names all that the numbers of a run follow from, the base aside. */
function nameOf({ datasetSha256, recipe, shipped, warmStart }: TrainingJob, purpose: string) {
  const start = [shipped?.sha256, warmStart?.sha256, warmStart?.datasetSha256];
  return canonicalJson([
    datasetSha256,
    recipe as unknown as Json,
    start.map((name) => name ?? null),
    purpose,
  ]);
}

function checkpointsOf(job: TrainingJob, base: Base, purpose: string): Checkpoints | null {
  if (job.checkpointDir === undefined) return null;
  const folder = { dir: job.checkpointDir, seal: job.seal };
  return checkpointFiles(folder, `${base.sha256} ${nameOf(job, purpose)}`);
}

// How much of the newest step's time goes into the mean that the time left is told by.
const NEWEST_SHARE = 0.2;

function withSpeed({ clock, onProgress }: TrainAdapterOptions): (report: StepReport) => void {
  let last = clock.now();
  let meanMs: number | null = null;
  return (report) => {
    const now = clock.now();
    const ms = Math.max(1, now - last);
    last = now;
    meanMs = meanMs === null ? ms : meanMs + NEWEST_SHARE * (ms - meanMs);
    onProgress({
      ...report,
      tokensPerSecond: (1000 * report.tokens) / ms,
      secondsLeft: ((report.totalSteps - report.step) * meanMs) / 1000,
    });
  };
}

async function measure(
  holdout: Parameters<typeof measureHoldout>[0],
  run: {
    workshop: Workshop;
    place: LearnerPlace;
    learner: Learner;
    candidate: LoraAdapter;
    live: LoraAdapter | null;
  },
): Promise<HoldoutMeasures> {
  const { place, workshop } = run;
  const { config } = place.base;
  const shape = coveringShape(config, place.lora, run.live?.shape ?? place.lora);
  const measureWith = (learner: Learner) =>
    measureHoldout(holdout, run, { learner, config, shape });
  if (shape === place.lora) return measureWith(workshop.remembering(run.learner, place));
  // a live adapter made by another recipe may not fit into this one's graphs. What other graphs score is not remembered: a last bit
  // may be another
  const other = await openScorer({ ...place, lora: shape });
  try {
    return await measureWith(other);
  } finally {
    await other.close();
  }
}

function lineageOf(
  { datasetSha256, recipe, shipped, warmStart }: TrainingJob,
  base: Base,
  run: { parts: TokenisedParts; measures: HoldoutMeasures; losses: readonly number[] },
): Lineage {
  const { loss, baseLoss, preferenceAccuracy } = figuresOf(run.measures);
  const { examples, pairs, thumbs } = run.parts.train;
  return {
    baseSha256: base.sha256,
    datasetSha256,
    parentSha256: (warmStart ?? shipped)?.sha256 ?? null,
    recipe: recipe as unknown as Json,
    codeVersion: CODE_VERSION,
    figures: {
      steps: run.losses.length,
      examples: examples.length,
      preferences: recipe.dpo === undefined ? 0 : pairs.length + thumbs.length,
      notes: countNotes(run.parts.notes),
      firstLoss: run.losses[0] ?? null,
      lastLoss: run.losses.at(-1) ?? null,
      holdoutLoss: loss,
      ...{ baseLoss, preferenceAccuracy },
    },
  };
}
