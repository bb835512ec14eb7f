// The search of what ratings are learnt with: trials of a rater's rounds (bench/train/rater.ts), each a set of changes to the
// recipe of a mode that learns preferences. Goes on where it was stopped. Prints a line per adapter.
//
//   npm run bench:ratings -- --work FOLDER 'rate=0.5' 'rate=0.5 beta=0.3' 'kind=online rounds=4,8,16,32'

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say } from '../demo/show.ts';
import { readConfig } from '../src/config.ts';
import { splitOf } from '../src/dataset/core/split.ts';
import { must } from '../src/lib/errors.ts';
import { sha256 } from '../src/lib/sha256.ts';
import { installBase } from '../src/model/base/base-install.ts';
import type { Base } from '../src/model/base/base-package.ts';
import { loadCatalog } from '../src/modes/catalog.ts';
import type { Mode } from '../src/modes/mode.ts';
import { renderPrompt } from '../src/modes/prompt.ts';
import { decideGate } from '../src/training/core/gate.ts';
import { type Recipe, recipeOf } from '../src/training/core/recipe.ts';
import type { TrainingExample, TrainingPreference } from '../src/training/core/training-set.ts';
import { manyMails } from './train/mails.ts';
import { type Play, type Version, withPlay } from './train/play.ts';
import {
  brief,
  type Outcome,
  outcomeOf,
  type Prepared,
  playOffline,
  playOnline,
  prepare,
} from './train/rounds.ts';

const MODE = 'subject';
const RATINGS = 60;
const MAILS = 60;
const EDITS_HELD_OUT = 50;

const { values: options, positionals: trials } = parseArgs({
  options: {
    model: { type: 'string' },
    work: { type: 'string', default: join(tmpdir(), 'attune-ratings') },
    seed: { type: 'string', default: '1' },
    pairs: { type: 'string', default: '200' },
    threads: { type: 'string', default: '1' },
  },
  allowPositionals: true,
});
async function search(): Promise<void> {
  const { model, cacheDir, modesDir } = readConfig({ model: options.model });
  const base = await installBase({ model, cacheDir });
  const mode = (await loadCatalog(modesDir, { only: [MODE] })).mode(MODE);
  const [seed, threads] = [Number(options.seed), Number(options.threads)];
  await withPlay({ base, mode, folder: options.work, threads, seed }, async (play) => {
    const prepared = await prepare(play, Number(options.pairs));
    for (const trial of trials) await KINDS[kindOf(trial)]({ play, base, mode, prepared, trial });
  });
}

/** One trial. */
interface Trial {
  readonly play: Play;
  readonly base: Base;
  readonly mode: Mode;
  readonly prepared: Prepared;
  /** Words such as `beta=0.3`. */
  readonly trial: string;
}

type Kind = 'offline' | 'online' | 'thumbs' | 'both' | 'edits';

/** What a trial does. */
const KINDS: Readonly<Record<Kind, (trial: Trial) => Promise<void>>> = {
  offline: tryOffline,
  online: async (told) => showAll(told, await playOnline(roundsOf(told), told.prepared)),
  thumbs: tryThumbs,
  both: tryBoth,
  edits: tryEdits,
};

/** One adapter for each number of ratings. */
async function tryOffline(told: Trial): Promise<void> {
  const { play, prepared } = told;
  for (const count of countsOf(told))
    showAll(told, [await playOffline({ play, recipe: changed(told) }, prepared, count)]);
}

function kindOf(trial: string): Kind {
  const kind = choices(trial).kind ?? 'offline';
  if (kind in KINDS) return kind as Kind;
  throw new Error(`kind is ${kind}, but must be one of ${Object.keys(KINDS).join(', ')}`);
}

function choices(trial: string): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(trial.split(/\s+/).map((word) => word.split('=')));
}

function roundsOf(told: Trial) {
  const { play, prepared, trial } = told;
  const heldOutPairs = prepared.heldOut.length;
  const warm = choices(trial).warm !== 'no';
  return { play, recipe: changed(told), rounds: countsOf(told), heldOutPairs, warm };
}

/** The numbers of ratings that a trial names. */
function countsOf({ trial }: Trial): readonly number[] {
  return (choices(trial).rounds ?? `${RATINGS}`).split(',').map(Number);
}

/** The mode's recipe of preferences with the trial's changes. */
function changed({ base, mode, trial }: Trial): Recipe {
  const said = choices(trial);
  const number = (name: string, fallback: number) => Number(said[name] ?? fallback);
  const lora = said.top === undefined ? mode.lora : { ...mode.lora, topLayers: Number(said.top) };
  const recipe = recipeOf({ ...mode, lora, objective: 'DPO' }, base.config);
  const { incremental } = recipe;
  const dpo = must(recipe.dpo, 'the mode learns preferences');
  return {
    ...recipe,
    batchSize: number('batch', recipe.batchSize),
    dpo: {
      ...dpo,
      beta: number('beta', dpo.beta),
      sftWeight: number('sft', dpo.sftWeight),
      learningRateShare: number('rate', dpo.learningRateShare),
      epochs: number('epochs', dpo.epochs),
      replay: number('texts', dpo.replay),
      reference: said.ref === 'start' ? 'start' : dpo.reference,
    },
    incremental: {
      ...incremental,
      learningRateShare: number('warm-rate', incremental.learningRateShare),
      epochs: number('warm-epochs', incremental.epochs),
      replay: number('replay', incremental.replay),
    },
  };
}

/** As many lone thumbs as ratings, of the same answers: one of each pair, by turns the better and the worse one. */
async function tryThumbs(told: Trial): Promise<void> {
  const { play, prepared } = told;
  const { taught, unseen, heldOut } = prepared;
  const pairs = await play.ratings(taught, null, RATINGS, 'train');
  const thumbs = pairs.map(({ messages, split, chosen, rejected, sha256: pair }, i) => {
    const isGood = i % 2 === 0;
    const answer = isGood ? chosen : rejected;
    return { messages, split, isGood, answer, sha256: sha256(`thumb ${pair}`) };
  });
  const version = await play.train({ recipe: changed(told), ratings: [], thumbs, heldOut });
  showAll(told, [await outcomeOf(play, unseen, RATINGS, version)]);
}

/** A user with mails, whose adapter's answers are rated by another taste than the mails': what learning both costs the loss on
 *  held-out mails, and whether the gate lets it pass. */
async function tryBoth(told: Trial): Promise<void> {
  const { play, prepared } = told;
  const { taught, heldOut } = prepared;
  const live = await writeFirst(told, heldOut);
  const ratings = await play.ratings(taught, live, RATINGS, 'train');
  await thenPrefer(told, live, { ratings, heldOut });
}

/** A user with mails who puts their own subject line in the place of what was answered to further ones: ratings and texts agree. */
async function tryEdits(told: Trial): Promise<void> {
  const { play, prepared } = told;
  const { taught, unseen } = prepared;
  const live = await writeFirst(told, []);
  const heldOut = await play.edits(unseen.slice(MAILS), live, EDITS_HELD_OUT, 'holdout');
  const ratings = await play.edits(taught.slice(MAILS), live, RATINGS, 'train');
  await thenPrefer(told, live, { ratings, heldOut });
}

type Rated = readonly TrainingPreference[];

function examplesOf({ mode }: Trial): readonly TrainingExample[] {
  return manyMails(MAILS).map((mail) => exampleOf(mode, brief(mail)));
}

async function writeFirst(told: Trial, heldOut: Rated): Promise<Version> {
  const { dpo: _, ...recipe } = changed(told);
  const examples = examplesOf(told);
  const live = await told.play.train({ recipe, examples, ratings: [], heldOut });
  if (heldOut.length > 0) await showVerdict('SFT', told, live);
  return live;
}

/** Anew, and going on from what was rated. */
async function thenPrefer(
  told: Trial,
  live: Version,
  judged: { readonly ratings: Rated; readonly heldOut: Rated },
): Promise<void> {
  const { dpo, ...writing } = changed(told);
  const recipe = { ...writing, dpo: { ...must(dpo, 'as above'), afterWriting: true } };
  const lesson = { recipe, examples: examplesOf(told), ...judged, live };
  await showVerdict('SFT_THEN_DPO', told, await told.play.train(lesson));
  await showVerdict('SFT_THEN_DPO', told, await told.play.train({ ...lesson, from: live }));
}

function exampleOf(mode: Mode, mail: ReturnType<typeof brief>): TrainingExample {
  const { recordId, subject, body } = mail;
  const messages = renderPrompt(mode, { body }, {});
  const split = splitOf('mail.sent', recordId);
  return { split, messages, target: subject, sha256: sha256(JSON.stringify([messages, subject])) };
}

async function showVerdict(
  objective: 'SFT' | 'SFT_THEN_DPO',
  told: Trial,
  version: Version,
): Promise<void> {
  const { play, prepared, mode } = told;
  const { passed, reason } = decideGate(version.measures, { ...mode.gate, objective });
  const outcome = await outcomeOf(play, prepared.unseen, RATINGS, version);
  say(`${line(told, outcome)}; ${objective} ${passed ? 'passed' : 'rejected'}: ${reason}`);
}

function showAll(told: Trial, outcomes: readonly Outcome[]): void {
  for (const outcome of outcomes) say(line(told, outcome));
}

function line({ trial }: Trial, { ratings, accuracy, style, probe }: Outcome): string {
  const shown = { accuracy: accuracy.toFixed(3), style: style.toFixed(2), probe: probe.toFixed(3) };
  return `seed ${options.seed} ${trial} | ${ratings} ratings: ${JSON.stringify(shown)}`;
}

await search();
