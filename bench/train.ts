// Training against its targets: steps beside torch and PEFT, a whole run, one that goes on, and what ratings teach.
// Prints a table and, last, one line of JSON.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say, showTable } from '../demo/show.ts';
import { readConfig } from '../src/config.ts';
import { nullIfMissing } from '../src/lib/null-if-missing.ts';
import { installBase } from '../src/model/base/base-install.ts';
import { loadCatalog } from '../src/modes/catalog.ts';
import { recipeOf } from '../src/training/core/recipe.ts';
import { withPlay } from './train/play.ts';
import { type Outcome, playRounds } from './train/rounds.ts';
import { compareSteps } from './train/step-speed.ts';
import { findPython } from './train/torch-peer.ts';
import { measureRuns } from './train/whole-run.ts';

const MODE = 'subject';
/** Ratings of each round, 60 in all: few at first, since a dozen already teach most of what this rater wants. */
const ROUNDS = [4, 8, 16, 32];
const HELD_OUT_PAIRS = 200;
/** A style needs no more, and the lower ones are then computed once for each answer. */
const TAUGHT_LAYERS = 10;
const RECORDED_AUTHORS = new URL('./recorded/authors.json', import.meta.url);

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    // with torch, transformers and PEFT; without it a virtual environment is made
    python: { type: 'string' },
    threads: { type: 'string', default: '1' },
    // some of: steps, runs, rounds
    only: { type: 'string', default: 'steps,runs,rounds' },
    // a folder that keeps what the rounds computed; without it nothing is kept
    work: { type: 'string' },
  },
});
const folder = await mkdtemp(join(tmpdir(), 'attune-train-'));
try {
  await benchTrain();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function benchTrain(): Promise<void> {
  const { model, cacheDir, modesDir } = readConfig({ model: options.model });
  const base = await installBase({ model, cacheDir });
  const mode = (await loadCatalog(modesDir, { only: [MODE] })).mode(MODE);
  const threads = Number(options.threads);
  const wanted = options.only.split(',');
  const figures: Figure[] = [];
  if (wanted.includes('steps')) {
    const recipe = recipeOf(mode, base.config);
    const python = await findPython(options.python, join(tmpdir(), 'attune-torch'));
    figures.push(...stepFigures(await compareSteps({ base, recipe, python, threads, folder })));
  }
  if (wanted.includes('runs'))
    figures.push(...runFigures(await measureRuns({ base, mode, folder })));
  if (wanted.includes('rounds')) {
    const place = { base, mode, threads, folder: options.work ?? join(folder, 'rounds'), seed: 1 };
    const lora = { ...mode.lora, topLayers: TAUGHT_LAYERS };
    const recipe = recipeOf({ ...mode, lora, objective: 'DPO' }, base.config);
    const told = { recipe, rounds: ROUNDS, heldOutPairs: HELD_OUT_PAIRS, warm: true };
    figures.push(...roundFigures(await withPlay(place, (play) => playRounds({ play, ...told }))));
  }
  figures.push(...(await authorFigures()));
  say(`base model ${base.name}`);
  showTable(
    ['figure', 'measured', 'target'],
    figures.map(({ name, shown, target = '' }) => [name, shown, target]),
  );
  const inJson = figures.filter(({ key }) => key !== undefined);
  say(JSON.stringify(Object.fromEntries(inJson.map(({ key, value }) => [key, value]))));
}

/** A line of the table; those with a key are in the JSON too. */
interface Figure {
  readonly name: string;
  readonly shown: string;
  readonly target?: string;
  readonly key?: string;
  readonly value?: number | null;
}

function keyed(
  key: string,
  name: string,
  value: number,
  [unit, target]: readonly [string, string],
): Figure {
  const rounded = Number(value.toFixed(3));
  return { key, name, value: rounded, shown: `${rounded}${unit}`, target };
}

function stepFigures(found: Awaited<ReturnType<typeof compareSteps>>): readonly Figure[] {
  const { ours, fp32, bf16, peak, tokens, torch } = found;
  const speed = (ms: number) => `${((1000 * tokens) / ms).toFixed(0)} tokens/s`;
  return [
    { name: 'our training step', shown: speed(ours) },
    { name: `torch ${torch} with PEFT, fp32`, shown: speed(fp32) },
    { name: `torch ${torch} with PEFT, bf16`, shown: speed(bf16) },
    keyed('tokens_vs_torch_fp32', 'over torch fp32', found.vsFp32, ['x', '2x']),
    keyed('tokens_vs_torch_bf16', 'over torch bf16', found.vsBf16, ['x', '1.2x']),
    { name: 'peak of products, fp32', shown: `${((2 * peak.fp32) / 1e9).toFixed(0)} GFLOP/s` },
    { name: 'peak of products, 8-bit', shown: `${((2 * peak.int8) / 1e9).toFixed(0)} GOP/s` },
    keyed('gemm_peak_share', 'share of the peak', found.peakShare, ['', '0.75']),
  ];
}

function runFigures({
  full,
  incremental,
  alone,
  pair,
}: Awaited<ReturnType<typeof measureRuns>>): readonly Figure[] {
  const { proportional, resident, anonymous } = full.memory;
  const losses = ({ verdict }: typeof full) =>
    `${verdict.baseLoss?.toFixed(3)} to ${verdict.loss?.toFixed(3)}: ${verdict.passed ? 'passed' : verdict.reason}`;
  const probe = ({ verdict }: typeof full) =>
    `${verdict.baseProbeLoss?.toFixed(3)} to ${verdict.probeLoss?.toFixed(3)}`;
  return [
    keyed('full_run_s', '100 mails to an adapter', full.seconds, [' s', '60 s']),
    { name: 'its held-out loss', shown: losses(full) },
    { name: 'its loss on the general probe', shown: probe(full) },
    {
      name: '5 more mails',
      shown: `${incremental.seconds.toFixed(1)} s, ${incremental.steps} steps`,
    },
    { name: 'their held-out loss', shown: losses(incremental) },
    keyed('incremental_share', 'of the full run', incremental.seconds / full.seconds, ['', '0.2']),
    { name: 'the same in a new process', shown: `${alone.seconds.toFixed(1)} s` },
    keyed('peak_memory_gb', 'peak memory, shared pages once', proportional, [' GB', '1.5 GB']),
    {
      name: 'resident, of it no file',
      shown: `${resident.toFixed(2)}, ${anonymous.toFixed(2)} GB`,
    },
    {
      name: "two users' runs at once, over one after the other",
      shown: `${pair.seconds.toFixed(1)} s, ${(pair.seconds / (2 * full.seconds)).toFixed(3)}x`,
    },
    { name: 'their memory, shared pages once', shown: `${pair.memory.proportional.toFixed(2)} GB` },
  ];
}

function roundFigures({
  online,
  offline,
  baseStyle,
  heldOutPairs,
}: Awaited<ReturnType<typeof playRounds>>): readonly Figure[] {
  const list = (outcomes: readonly Outcome[], of: keyof Outcome) =>
    outcomes.map((outcome) => outcome[of].toFixed(3)).join(', ');
  const counts = online.map(({ ratings }) => ratings).join(', ');
  return [
    {
      name: `accuracy on ${heldOutPairs} pairs after ${counts} ratings`,
      shown: list(online, 'accuracy'),
    },
    keyed('preference_accuracy', 'after all ratings', online.at(-1)?.accuracy ?? 0, ['', '0.72']),
    { name: 'offline, as many ratings', shown: list([offline], 'accuracy') },
    {
      name: "rater's figure: base; rounds; offline",
      shown: `${baseStyle.toFixed(3)}; ${list(online, 'style')}; ${list([offline], 'style')}`,
    },
  ];
}

/** What bench:authors found when it was run with --record. */
async function authorFigures(): Promise<readonly Figure[]> {
  const text = await readFile(RECORDED_AUTHORS, 'utf8').catch(nullIfMissing);
  const key = 'authors_own_on_global_best';
  if (text === null) return [{ name: 'writers', shown: 'not recorded', key, value: null }];
  const { authors, [key]: best } = JSON.parse(text) as Record<string, number>;
  return [keyed(key, `writers best served by own on global, of ${authors}`, best ?? 0, ['', '16'])];
}
