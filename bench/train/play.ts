// What rounds of ratings are made of: answers that are rated, adapters that learn from ratings, and how good those are. All is
// computed once and kept in a folder by what it follows from, so that a search pays for what is new only.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Engine, startEngine } from '../../src/inference/engine-client.ts';
import type { AdapterFolder } from '../../src/inference/engine-protocol.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { renderPrompt } from '../../src/modes/prompt.ts';
import type { HoldoutMeasures } from '../../src/training/core/gate.ts';
import type { Recipe } from '../../src/training/core/recipe.ts';
import type {
  TrainingExample,
  TrainingPreference,
  TrainingThumb,
} from '../../src/training/core/training-set.ts';
import type { LlamaLearner } from '../../src/training/llama-learner.ts';
import { trainAdapter } from '../../src/training/train-adapter.ts';
import type { TrainingJob, TrainingResult, WarmStart } from '../../src/training/training-job.ts';
import { type LearnerPlace, openLearner, Workshop } from '../../src/training/workshop.ts';
import { kept } from '../kept.ts';
import type { Mail } from './mails.ts';
import { rate, type Sampler, samplerOf, styleOf } from './rater.ts';

/** Where it is played. */
export interface Place {
  readonly base: Base;
  readonly mode: Mode;
  /** What is computed is kept here. */
  readonly folder: string;
  readonly threads: number;
  /** Another one, other answers. */
  readonly seed: number;
}

/** What an adapter is made of. */
export interface Lesson {
  readonly recipe: Recipe;
  readonly examples?: readonly TrainingExample[];
  /** What is learnt from, and what measures it. */
  readonly ratings: readonly TrainingPreference[];
  readonly thumbs?: readonly TrainingThumb[];
  readonly heldOut: readonly TrainingPreference[];
  /** Goes on from this one; absent: from scratch. */
  readonly from?: Version | null;
  /** The adapter to compare the loss with. */
  readonly live?: Version | null;
}

/** An adapter, what it learnt and how it did. */
export interface Version extends AdapterFolder {
  readonly datasetSha256: string;
  readonly learnt: readonly string[];
  readonly measures: HoldoutMeasures;
  readonly validationLosses: readonly number[];
  readonly steps: number;
  /** No epoch from scratch was better than none, so that the adapter changes nothing. */
  readonly isBase: boolean;
}

// Every eighth rating decides when to stop, from the fifth on: the shares of train and validation that users' data is split in.
const VALIDATION_EVERY = 8;
const FIRST_VALIDATION = 4;

/** Mails that are answered side by side. */
const AT_ONCE = 8;
const STYLE_SEED = 50_000;
const EDIT_SEED = 70_000;
const SEEDS_APART = 100_000;

/** Knows for ever what it has computed. A server's trainer forgets all of it before a run from scratch, lest it knows a text
 *  that was deleted; here nobody deletes. */
class KnowingWorkshop extends Workshop {
  readonly #learners = new Map<string, LlamaLearner>();

  override async learner(place: LearnerPlace): Promise<LlamaLearner> {
    const key = JSON.stringify([place.lora, place.recipe.precision, place.recipe.maxTokens]);
    const learner = this.#learners.get(key) ?? (await openLearner(place));
    this.#learners.set(key, learner);
    return learner;
  }

  override forgetScores(): void {}

  override async close(): Promise<void> {
    for (const learner of this.#learners.values()) await learner.close();
    await super.close();
  }
}

/** Plays at a place, and closes what that opened. */
export async function withPlay<T>(place: Place, work: (play: Play) => Promise<T>): Promise<T> {
  const play = await Play.open(place);
  try {
    return await work(play);
  } finally {
    await play.close();
  }
}

/** Rates, trains and measures; has an engine and a trainer to close. */
export class Play {
  readonly #place: Place;
  readonly #sampler: Sampler;
  readonly #workshop = new KnowingWorkshop();
  readonly #engine: { started?: Promise<Engine> };

  private constructor(place: Place, sampler: Sampler, engine: { started?: Promise<Engine> }) {
    this.#place = place;
    this.#sampler = sampler;
    this.#engine = engine;
  }

  static async open(place: Place): Promise<Play> {
    const { base, threads, folder } = place;
    await mkdir(folder, { recursive: true });
    const engine: { started?: Promise<Engine> } = {};
    // nothing is started where everything is known already
    const start = () => {
      engine.started ??= startEngine({ baseDir: base.dir, threads });
      return engine.started;
    };
    return new Play(place, await samplerOf(start, place), engine);
  }

  async close(): Promise<void> {
    await this.#workshop.close();
    await (await this.#engine.started)?.close();
  }

  /** So many opinions of the rater on the adapter's answers; the mails are gone through again where they are too few. */
  async ratings(
    mails: readonly Mail[],
    adapter: AdapterFolder | null,
    count: number,
    part: 'train' | 'holdout',
  ): Promise<readonly TrainingPreference[]> {
    const rated = new Map<string, TrainingPreference>();
    for (let at = 0; rated.size < count; at += AT_ONCE) {
      const asked = Array.from({ length: AT_ONCE }, (_, i) =>
        must(mails[(at + i) % mails.length], 'a mail'),
      );
      for (const { body, answers } of await this.#answers(asked, adapter, at)) {
        const messages = renderPrompt(this.#place.mode, { body }, {});
        const rating = rate(messages, answers, partOf(part, rated.size));
        if (rating !== null && rated.size < count) rated.set(rating.sha256, rating);
      }
    }
    return [...rated.values()];
  }

  /** What the adapter answers to so many mails, and the subject lines that they were sent with. */
  async edits(
    mails: readonly Mail[],
    adapter: AdapterFolder | null,
    count: number,
    part: 'train' | 'holdout',
  ): Promise<readonly TrainingPreference[]> {
    const edited = new Map<string, TrainingPreference>();
    for (let at = 0; at < mails.length; at += AT_ONCE) {
      const asked = mails.slice(at, at + AT_ONCE);
      const answered = await this.#answers(asked, adapter, EDIT_SEED + at);
      for (const [i, { body, answers }] of answered.entries()) {
        const messages = renderPrompt(this.#place.mode, { body }, {});
        const pair = { chosen: must(asked[i], 'a mail').subject, rejected: answers[0] };
        if (pair.chosen === pair.rejected || edited.size >= count) continue;
        const split = partOf(part, edited.size);
        const name = sha256(JSON.stringify([messages, pair]));
        edited.set(name, { messages, ...pair, split, sha256: name });
      }
    }
    return [...edited.values()];
  }

  /** Trains and measures. */
  train(lesson: Lesson): Promise<Version> {
    const {
      recipe,
      examples = [],
      ratings,
      thumbs = [],
      heldOut,
      from = null,
      live = null,
    } = lesson;
    const learnt = [...examples, ...ratings, ...thumbs].map((item) => item.sha256);
    const datasetSha256 = sha256([...learnt, '', ...heldOut.map((pair) => pair.sha256)].join());
    const starts = [from?.sha256, from?.learnt, live?.sha256];
    const name = [this.#place.base.sha256, recipe, datasetSha256, ...starts];
    const outDir = join(this.#place.folder, `adapter-${sha256(JSON.stringify(name))}`);
    return kept(`${outDir}.result`, async () => {
      await rm(outDir, { recursive: true, force: true });
      const result = await this.#run(lesson, { datasetSha256, outDir });
      const tensors = result.files.find((file) => file.name.endsWith('.safetensors'));
      const { measures, validationLosses, steps } = result;
      const [atStart, ...epochs] = validationLosses;
      const isBase = from === null && atStart !== undefined && Math.min(...epochs) >= atStart;
      return {
        ...{ dir: outDir, sha256: must(tensors, 'a file of tensors').sha256 },
        ...{ datasetSha256, learnt, measures, validationLosses, steps, isBase },
      };
    });
  }

  #run(
    { recipe, examples = [], ratings, thumbs = [], heldOut, from = null, live = null }: Lesson,
    names: Pick<TrainingJob, 'datasetSha256' | 'outDir'>,
  ): Promise<TrainingResult> {
    const { base, threads } = this.#place;
    const job = {
      ...{ baseDir: base.dir, recipe, threads, ...names, examples, thumbs },
      preferences: [...ratings, ...heldOut],
      liveAdapterDir: live?.dir ?? null,
      ...(from && { warmStart: startOf(from) }),
    };
    const options = { clock: systemClock, onProgress: () => undefined, workshop: this.#workshop };
    return trainAdapter(job, options);
  }

  /** The rater's mean figure for two answers of an adapter to each mail. */
  async style(mails: readonly Mail[], adapter: AdapterFolder | null): Promise<number> {
    const figures: number[] = [];
    for (let at = 0; at < mails.length; at += AT_ONCE) {
      const asked = mails.slice(at, at + AT_ONCE);
      const answered = await this.#answers(asked, adapter, STYLE_SEED + at);
      figures.push(...answered.flatMap(({ answers }) => answers.map(styleOf)));
    }
    return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  }

  async #answers(mails: readonly Mail[], adapter: AdapterFolder | null, at: number) {
    const bodies = mails.map(({ body }) => body);
    const seed = this.#place.seed * SEEDS_APART + at;
    const answers = await this.#sampler.pairs(bodies, adapter, seed);
    return bodies.map((body, i) => ({ body, answers: must(answers[i], 'a pair per mail') }));
  }
}

function partOf(part: 'train' | 'holdout', at: number): TrainingPreference['split'] {
  return part === 'train' && at % VALIDATION_EVERY === FIRST_VALIDATION ? 'validation' : part;
}

function startOf({ dir, sha256: name, datasetSha256, learnt }: Version): WarmStart {
  return { adapterDir: dir, sha256: name, datasetSha256, learnt };
}
