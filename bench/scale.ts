// A deployment of several processes against its targets: changes taken, trainers added, datasets grown, faults survived.
// Needs PostgreSQL and Redis on this machine. Prints a table and, last, one line of JSON.
//   --only ingest,pglite,fold,trainers,faults    some parts alone

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { say, showTable } from '../demo/show.ts';
import type { Figure } from './decode/figure.ts';
import { faultFigures } from './scale/faults.ts';
import { foldFigures } from './scale/fold.ts';
import { pgliteFigures, postgresFigures } from './scale/ingest.ts';
import { type Servers, startServers } from './scale/servers.ts';
import { trainerFigures } from './scale/trainers.ts';

/** What each part measures, in a folder of its own. */
const PARTS: Readonly<Record<string, (folder: string, servers: Servers) => Promise<Figure[]>>> = {
  ingest: postgresFigures,
  pglite: pgliteFigures,
  fold: foldFigures,
  trainers: trainerFigures,
  faults: faultFigures,
};

const { values } = parseArgs({
  options: { only: { type: 'string', default: Object.keys(PARTS).join() } },
});
const folder = await mkdtemp(join(tmpdir(), 'attune-scale-'));
const servers = await startServers();
try {
  const figures: Figure[] = [];
  for (const name of values.only.split(',')) {
    const measure = PARTS[name];
    if (measure === undefined) throw new Error(`no part "${name}"; parts: ${Object.keys(PARTS)}`);
    const measured = await measure(join(folder, name), servers);
    show(measured);
    figures.push(...measured);
  }
  say(JSON.stringify(Object.fromEntries(figures.map(({ key, value }) => [key, round(value)]))));
} finally {
  await servers.stop();
  await rm(folder, { recursive: true, force: true });
}

function show(figures: readonly Figure[]): void {
  showTable(
    ['figure', 'measured', 'target', 'from'],
    figures.map(({ key, value, reach, from }) => [key, `${round(value)}`, reach, from]),
  );
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
