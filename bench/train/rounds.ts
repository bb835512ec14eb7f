// Learning from ratings: answers of version n are rated and train version n+1, beside as many ratings of the base's answers
// that train one version at once. Measured on pairs of mails that are never trained on.

import { must } from '../../src/lib/errors.ts';
import { figuresOf } from '../../src/training/core/gate.ts';
import type { Recipe } from '../../src/training/core/recipe.ts';
import type { TrainingPreference } from '../../src/training/core/training-set.ts';
import { type Mail, manyMails } from './mails.ts';
import type { Play, Version } from './play.ts';

/** What is tried. */
export interface RoundsOptions {
  readonly play: Play;
  readonly recipe: Recipe;
  /** How many ratings each round brings. */
  readonly rounds: readonly number[];
  readonly heldOutPairs: number;
  /** Whether a round goes on from the version before it; else it begins anew, with all ratings so far. */
  readonly warm: boolean;
}

/** How a version did. */
export interface Outcome {
  /** What it learnt from in all. */
  readonly ratings: number;
  /** On the held-out pairs. */
  readonly accuracy: number;
  /** Mean of the rater's figure over answers to unseen mails. */
  readonly style: number;
  /** Loss on the general probe, nats per token above the base's. */
  readonly probe: number;
}

/** How it went. */
export interface RoundsResult {
  readonly heldOutPairs: number;
  /** The rater's figure for the base's answers. */
  readonly baseStyle: number;
  /** After each round. */
  readonly online: readonly Outcome[];
  /** After as many ratings of the base's answers at once. */
  readonly offline: Outcome;
}

const STYLE_MAILS = 48;
const BRIEF_CHARACTERS = 120;

/** Mails whose ratings are learnt from, mails that are only measured, and the held-out pairs made of the latter. */
export async function prepare(play: Play, heldOutPairs: number) {
  const mails = manyMails(2 * heldOutPairs).map(brief);
  const taught = mails.filter((_, i) => i % 2 === 0);
  const unseen = mails.filter((_, i) => i % 2 === 1);
  const heldOut = await play.ratings(unseen, null, heldOutPairs, 'holdout');
  return { taught, unseen, heldOut };
}

/** The mail's first sentences: a style shows in the answers, and long prompts would only take longer. */
export function brief({ body, ...mail }: Mail): Mail {
  return { ...mail, body: body.slice(0, BRIEF_CHARACTERS).replace(/\S*$/, '').trim() };
}

/** What `prepare` gives. */
export type Prepared = Awaited<ReturnType<typeof prepare>>;

/** Plays the rounds. */
export async function playRounds(options: RoundsOptions): Promise<RoundsResult> {
  const { play, heldOutPairs } = options;
  const prepared = await prepare(play, heldOutPairs);
  return {
    heldOutPairs,
    baseStyle: await play.style(prepared.unseen.slice(0, STYLE_MAILS), null),
    online: await playOnline(options, prepared),
    offline: await playOffline(options, prepared, sum(options.rounds)),
  };
}

/** Ratings given to version n train version n + 1. */
export async function playOnline(
  { play, recipe, rounds, warm }: RoundsOptions,
  { taught, unseen, heldOut }: Prepared,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let ratings: readonly TrainingPreference[] = [];
  let live: Version | null = null;
  for (const count of rounds) {
    const rated = await play.ratings(rotated(taught, ratings.length), live, count, 'train');
    ratings = [...ratings, ...rated];
    live = await play.train({ recipe, ratings, heldOut, from: warm ? live : null });
    outcomes.push(await outcomeOf(play, unseen, ratings.length, live));
  }
  return outcomes;
}

/** So many of the base's answers are rated, and train one version. */
export async function playOffline(
  { play, recipe }: Pick<RoundsOptions, 'play' | 'recipe'>,
  { taught, unseen, heldOut }: Prepared,
  count: number,
): Promise<Outcome> {
  const ratings = await play.ratings(taught, null, count, 'train');
  return outcomeOf(play, unseen, count, await play.train({ recipe, ratings, heldOut }));
}

/** Measures a version. */
export async function outcomeOf(
  play: Play,
  unseen: readonly Mail[],
  ratings: number,
  version: Version,
): Promise<Outcome> {
  const figures = figuresOf(version.measures);
  return {
    ratings,
    accuracy: must(figures.preferenceAccuracy, 'there are held-out pairs'),
    // an engine takes no adapter that changes nothing
    style: await play.style(unseen.slice(0, STYLE_MAILS), version.isBase ? null : version),
    probe: (figures.probeLoss ?? Number.NaN) - (figures.baseProbeLoss ?? Number.NaN),
  };
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
