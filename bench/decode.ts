// Decoding against llama.cpp, on the default base: the same weights, prompts, adapters, threads and machine, in turns.
// Prints a table and, last, one line of JSON with every ratio.
//   --only single,agg8   some parts alone: single, agg8, agg32, prefill, slowdown, adapters1000, slots, graphql, bandwidth,
//                        restart; and profile, which prints where the time of a step goes
//   --threads 2          of each side

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say, showTable } from '../demo/show.ts';
import { readConfig } from '../src/config.ts';
import { installBase } from '../src/model/base/base-install.ts';
import { bandwidthShares } from './decode/bandwidth.ts';
import { compareDecode, comparePrefill, type DecodePart } from './decode/compare.ts';
import type { Figure } from './decode/figure.ts';
import { compareGraphql } from './decode/graphql.ts';
import { adapterSlowdown, manyAdapters, slotLoads } from './decode/own.ts';
import { profileSteps } from './decode/profile.ts';
import { restarts } from './decode/restart.ts';
import { type Bench, Sides } from './decode/sides.ts';
import { Workload } from './decode/workload.ts';

type Measure = (sides: Sides, workload: Workload, bench: Bench) => Promise<readonly Figure[]>;

const decoding =
  (part: DecodePart): Measure =>
  (sides, workload) =>
    compareDecode(sides, workload, part);

/** What can be measured. */
const PARTS: Readonly<Record<string, Measure>> = {
  single: decoding({ name: 'single', users: 1, tokens: 96, turns: 5, reach: ['1.3', '1.0'] }),
  agg8: decoding({ name: 'agg8', users: 8, tokens: 48, turns: 3, reach: ['5', '3.5'] }),
  agg32: decoding({ name: 'agg32', users: 32, tokens: 32, turns: 3, reach: ['8', '6'] }),
  prefill: comparePrefill,
  slowdown: adapterSlowdown,
  adapters1000: manyAdapters,
  slots: slotLoads,
  graphql: (_sides, _workload, bench) => compareGraphql(bench),
  bandwidth: bandwidthShares,
  restart: (_sides, workload, bench) => restarts(bench, workload),
  profile: (_sides, _workload, bench) => profileSteps(bench),
};

/** What is measured unless parts are named: all that gives figures. */
const FIGURES = Object.keys(PARTS).filter((name) => name !== 'profile');

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: FIGURES.join(',') },
    threads: { type: 'string', default: '2' },
  },
});
const names = options.only.split(',');
const unknown = names.find((name) => PARTS[name] === undefined);
if (unknown !== undefined)
  throw new Error(`no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}`);

const folder = await mkdtemp(join(tmpdir(), 'attune-decode-'));
try {
  report(await measure(Number(options.threads)));
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(threads: number): Promise<Figure[]> {
  const { cacheDir } = readConfig({});
  const base = await installBase({ model: 'default', cacheDir });
  const workload = await Workload.open(base, join(folder, 'adapters'));
  const bench = { base, threads, cacheDir, folder };
  const sides = new Sides(bench);
  const figures: Figure[] = [];
  try {
    for (const name of names) {
      process.stderr.write(`${name}\n`);
      figures.push(...((await PARTS[name]?.(sides, workload, bench)) ?? []));
    }
  } finally {
    await sides.close();
  }
  return figures;
}

function report(figures: readonly Figure[]): void {
  showTable(
    ['figure', 'measured', 'reach', ''],
    figures.map(({ key, value, reach, from }) => [key, value.toFixed(3), reach, from]),
  );
  say(JSON.stringify(Object.fromEntries(figures.map(({ key, value }) => [key, round(value)]))));
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
