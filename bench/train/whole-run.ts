// A whole run as the server makes it: the trainer's process from its start to the gate's verdict and the adapter in the store.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { splitOf } from '../../src/dataset/core/split.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { renderPrompt } from '../../src/modes/prompt.ts';
import { folderVault } from '../../src/sealing/vault.ts';
import { decideGate, type GateVerdict } from '../../src/training/core/gate.ts';
import { recipeOf } from '../../src/training/core/recipe.ts';
import type { TrainingExample } from '../../src/training/core/training-set.ts';
import { KeptTrainers } from '../../src/training/kept-trainers.ts';
import { runTrainer } from '../../src/training/trainer.ts';
import type { WarmStart } from '../../src/training/training-job.ts';
import { type Mail, manyMails } from './mails.ts';

const MAILS = 100;
const NEW_MAILS = 5;

/** One run. */
export interface RunFigures {
  readonly seconds: number;
  readonly steps: number;
  readonly verdict: GateVerdict;
  /** Of the trainer, most at once, in GB (10^9 bytes): its share of all mapped pages; all its pages; those that no file backs. */
  readonly memory: PeakMemory;
}

interface PeakMemory {
  readonly proportional: number;
  readonly resident: number;
  readonly anonymous: number;
}

/** What `measureRuns` found. */
export type AllRuns = Readonly<Record<'full' | 'incremental' | 'alone', RunFigures>> & {
  /** Two users' runs on 100 mails each at once: until both have their adapter, and what both trainers hold. */
  readonly pair: Pick<RunFigures, 'seconds' | 'memory'>;
};

/** Trains on 100 mails, then goes on with 5 more of them, in the process that the first run left and in a new one; then trains for
 *  two users at once. */
export async function measureRuns(options: {
  readonly base: Base;
  readonly mode: Mode;
  readonly folder: string;
}): Promise<AllRuns> {
  const { base, mode, folder } = options;
  const store = await openAdapterStore(folder, folderVault(folder));
  const mails = manyMails(MAILS + NEW_MAILS);
  const known = mails.slice(0, MAILS).map((mail) => exampleOf(mode, mail));
  // new mails are learnt from: what only measures them would cost less
  const added = mails
    .slice(MAILS)
    .map((mail) => ({ ...exampleOf(mode, mail), split: 'train' as const }));
  const kept = new KeptTrainers(systemClock);
  const run = (name: string, examples: readonly TrainingExample[], from?: WarmStart) => {
    const place = { base, mode, store, outDir: join(folder, name) };
    const isKept = name === 'full' || name === 'incremental';
    return oneRun(isKept ? { ...place, kept } : place, examples, from);
  };
  const first = await run('full', known);
  const warmStart = {
    ...{ adapterDir: first.adapterDir, sha256: first.sha256, datasetSha256: datasetOf(known) },
    learnt: known.map((example) => example.sha256),
  };
  const second = await run('incremental', [...known, ...added], warmStart);
  kept.close();
  const third = await run('alone', [...known, ...added], warmStart);
  const others = manyMails(2 * MAILS).slice(MAILS);
  const theirs = others.map((mail) => exampleOf(mode, mail));
  const startedAt = performance.now();
  const both = Promise.all([run('one of two', known), run('two of two', theirs)]);
  const memory = await watchMemory(both, 2);
  await both;
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    ...{ full: first.figures, incremental: second.figures, alone: third.figures },
    pair: { seconds, memory },
  };
}

function exampleOf(mode: Mode, { recordId, subject, body }: Mail): TrainingExample {
  const messages = renderPrompt(mode, { body }, {});
  const split = splitOf('mail.sent', recordId);
  return { split, messages, target: subject, sha256: sha256(JSON.stringify([messages, subject])) };
}

function datasetOf(examples: readonly TrainingExample[]): string {
  return sha256(examples.map((example) => example.sha256).join());
}

async function oneRun(
  place: { base: Base; mode: Mode; store: AdapterStore; outDir: string; kept?: KeptTrainers },
  examples: readonly TrainingExample[],
  warmStart?: WarmStart,
) {
  const { base, mode, store, outDir, ...watch } = place;
  const startedAt = performance.now();
  const running = runTrainer(
    {
      ...{ baseDir: base.dir, recipe: recipeOf(mode, base.config), examples, outDir },
      ...{ datasetSha256: datasetOf(examples), preferences: [], threads: 1, warmStart },
      liveAdapterDir: warmStart?.adapterDir ?? null,
    },
    { onProgress: () => undefined, signal: new AbortController().signal, niceness: 0, ...watch },
  );
  const memory = watchMemory(running, 1);
  const result = await running;
  const verdict = decideGate(result.measures, { ...mode.gate, objective: mode.objective });
  const { sha256: name } = await store.put(result.adapterDir, null);
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    adapterDir: store.pathOf({ userId: null, sha256: name }),
    sha256: name,
    figures: { seconds, steps: result.steps, verdict, memory: await memory },
  };
}

const WATCH_MS = 200;

/** Asks the kernel about the largest children, as many as there are trainers, until the runs are over. */
async function watchMemory(running: Promise<unknown>, trainers: number): Promise<PeakMemory> {
  let isOver = false;
  const ended = running.then(
    () => {
      isOver = true;
    },
    () => {
      isOver = true;
    },
  );
  let peak = { proportional: 0, resident: 0, anonymous: 0 };
  while (!isOver) {
    const sizes = await Promise.all((await childPids()).map(memoryOf));
    const largest = sizes.sort((a, b) => b.resident - a.resident).slice(0, trainers);
    const atOnce = (field: keyof PeakMemory) =>
      Math.max(
        peak[field],
        largest.reduce((sum, size) => sum + size[field], 0),
      );
    peak = {
      proportional: atOnce('proportional'),
      resident: atOnce('resident'),
      anonymous: atOnce('anonymous'),
    };
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, WATCH_MS))]);
  }
  return peak;
}

async function childPids(): Promise<readonly string[]> {
  const tasks = await readdir('/proc/self/task');
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/self/task/${task}/children`, 'utf8').catch(() => '')),
  );
  return lists.flatMap((list) => list.split(' ')).filter((pid) => pid !== '');
}

async function memoryOf(pid: string): Promise<PeakMemory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const gigabytes = (field: string) =>
    (Number(text.match(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm'))?.[1] ?? 0) * 1024) / 1e9;
  return {
    proportional: gigabytes('Pss'),
    resident: gigabytes('Rss'),
    anonymous: gigabytes('Anonymous'),
  };
}
