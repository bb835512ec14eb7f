// Learning from ratings: answers of version n are rated and train version n+1, beside as many ratings of the base's answers
// that train one version at once. Measured on pairs of mails that are never trained on.

import { join } from 'node:path';
import { startEngine } from '../../src/inference/engine-client.ts';
import type { AdapterFolder } from '../../src/inference/engine-protocol.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { type Base, loadTokenizer } from '../../src/model/base-package.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { renderPrompt } from '../../src/modes/prompt.ts';
import { decideGate } from '../../src/training/core/gate.ts';
import { type Recipe, recipeOf } from '../../src/training/core/recipe.ts';
import type { TrainingPreference } from '../../src/training/core/training-set.ts';
import { KeptTrainers } from '../../src/training/kept-trainers.ts';
import { runTrainer } from '../../src/training/trainer.ts';
import { type Mail, manyMails } from './mails.ts';
import { rate, type Sampler, samplerOf, styleOf } from './rater.ts';

/** What is tried. */
export interface RoundsOptions {
  readonly base: Base;
  readonly mode: Mode;
  /** Adapters and the like are written here. */
  readonly folder: string;
  readonly threads: number;
  /** How many ratings each round brings. */
  readonly rounds: readonly number[];
  readonly heldOutPairs: number;
  /** Changes to the recipe of preferences. */
  readonly change: (recipe: Recipe) => Recipe;
}

/** How it went. */
export interface RoundsResult {
  readonly heldOutPairs: number;
  /** Held-out preference accuracy after each round. */
  readonly online: readonly number[];
  /** After all ratings at once. */
  readonly offline: number;
  /** Mean of the rater's figure over answers to unseen mails: of the base, after each round, and of the offline one. */
  readonly style: {
    readonly base: number;
    readonly online: readonly number[];
    readonly offline: number;
  };
}

// A fifth of the ratings decide when to stop.
const VALIDATION_EVERY = 5;
const STYLE_MAILS = 40;

/** Plays the rounds. */
export async function playRounds(options: RoundsOptions): Promise<RoundsResult> {
  const { base, mode, rounds, threads } = options;
  const engine = await startEngine({ baseDir: base.dir, threads });
  let closePlay = () => {};
  try {
    const sampler = samplerOf(engine, mode, await loadTokenizer(base));
    const mails = manyMails(2 * options.heldOutPairs);
    // mails whose ratings are learnt from, and mails that are only measured
    const [taught, unseen] = [
      mails.filter((_, i) => i % 2 === 0),
      mails.filter((_, i) => i % 2 === 1),
    ];
    const play = new Play(options, sampler);
    closePlay = () => play.close();
    const heldOut = await play.ratings(unseen, null, options.heldOutPairs, 'holdout');
    const style = (adapter: AdapterFolder | null) => play.style(unseen, adapter);
    const styles = { base: await style(null), online: [] as number[] };
    const online: number[] = [];
    let seen: readonly TrainingPreference[] = [];
    let live: Version | null = null;
    for (const [round, ratings] of rounds.entries()) {
      const rated = await play.ratings(rotated(taught, seen.length), live, ratings, 'train');
      live = await play.train([...seen, ...rated], heldOut, { live, seen });
      seen = [...seen, ...rated];
      online.push(live.accuracy);
      console.error(`round ${round + 1}: held-out preference accuracy ${live.accuracy.toFixed(3)}`);
      styles.online.push(await style(live));
    }
    const atOnce = await play.ratings(taught, null, seen.length, 'train');
    const offline = await play.train(atOnce, heldOut, { live: null, seen: [] });
    console.error(`offline: held-out preference accuracy ${offline.accuracy.toFixed(3)}`);
    return {
      heldOutPairs: heldOut.length,
      online,
      offline: offline.accuracy,
      style: { ...styles, offline: await style(offline) },
    };
  } finally {
    closePlay();
    await engine.close();
  }
}

/** An adapter and how it did. */
interface Version extends AdapterFolder {
  readonly datasetSha256: string;
  readonly accuracy: number;
}

class Play {
  readonly #options: RoundsOptions;
  readonly #sampler: Sampler;
  readonly #recipe: Recipe;
  readonly #kept = new KeptTrainers(systemClock);
  #runs = 0;

  constructor(options: RoundsOptions, sampler: Sampler) {
    this.#options = options;
    this.#sampler = sampler;
    const { mode, base, change } = options;
    this.#recipe = change(recipeOf({ ...mode, objective: 'DPO' }, base.config));
  }

  close(): void {
    this.#kept.close();
  }

  /** So many opinions of the rater on the adapter's answers; the mails are gone through again where they are too few. */
  async ratings(
    mails: readonly Mail[],
    adapter: AdapterFolder | null,
    count: number,
    part: 'train' | 'holdout',
  ): Promise<readonly TrainingPreference[]> {
    const rated = new Map<string, TrainingPreference>();
    for (let at = 0; rated.size < count; at += 8) {
      const asked = Array.from({ length: 8 }, (_, i) =>
        must(mails[(at + i) % mails.length], 'a mail'),
      );
      const answers = await Promise.all(
        asked.map(({ body }, i) => this.#sampler.pair(body, adapter, at + i)),
      );
      for (const [i, { body }] of asked.entries()) {
        const messages = renderPrompt(this.#options.mode, { body }, {});
        const isValidation = part === 'train' && rated.size % VALIDATION_EVERY === 0;
        const split = isValidation ? 'validation' : part;
        const rating = rate(messages, must(answers[i], 'a pair per mail'), split);
        if (rating !== null && rated.size < count) rated.set(rating.sha256, rating);
      }
    }
    return [...rated.values()];
  }

  /** Trains on all ratings, going on from the live version if there is one. */
  async train(
    ratings: readonly TrainingPreference[],
    heldOut: readonly TrainingPreference[],
    { live, seen }: { live: Version | null; seen: readonly TrainingPreference[] },
  ): Promise<Version> {
    const { base, mode, folder, threads } = this.#options;
    const preferences = [...ratings, ...heldOut];
    const datasetSha256 = sha256(preferences.map((pair) => pair.sha256).join());
    this.#runs += 1;
    const warmStart = live && {
      ...{ adapterDir: live.dir, sha256: live.sha256, datasetSha256: live.datasetSha256 },
      learnt: seen.map((pair) => pair.sha256),
    };
    const job = {
      ...{ baseDir: base.dir, recipe: this.#recipe, datasetSha256, preferences, threads },
      examples: [],
      liveAdapterDir: null,
      outDir: join(folder, `run-${this.#runs}`),
      ...(warmStart && { warmStart }),
    };
    const signal = new AbortController().signal;
    const result = await runTrainer(job, {
      onProgress: () => undefined,
      signal,
      niceness: 0,
      kept: this.#kept,
    });
    const { preferenceAccuracy } = decideGate(result.measures, { ...mode.gate, objective: 'DPO' });
    const tensors = result.files.find(({ name }) => name.endsWith('.safetensors'));
    return {
      dir: result.adapterDir,
      sha256: must(tensors, 'a file of tensors').sha256,
      datasetSha256,
      accuracy: must(preferenceAccuracy, 'there are held-out pairs'),
    };
  }

  /** The rater's mean figure for an adapter's answers. */
  async style(mails: readonly Mail[], adapter: AdapterFolder | null): Promise<number> {
    const answers = await Promise.all(
      mails
        .slice(0, STYLE_MAILS / 2)
        .map(({ body }, i) => this.#sampler.pair(body, adapter, 9000 + i)),
    );
    const figures = answers.flat().map(styleOf);
    return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  }
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
