// What it costs to fold one change into a dataset that is there already.

import { join } from 'node:path';
import { foldDataset } from '../../src/dataset/fold-dataset.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { must } from '../../src/lib/errors.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { loadShippedModes, newTestUser, type TestUser } from '../../test/support/test-user.ts';

const ROUNDS = 15;
const BATCH = 100;

/** Milliseconds, the median of 15, per number of records that are there. */
export async function foldCosts(
  folder: string,
  recordCounts: readonly number[],
): Promise<readonly number[]> {
  const catalog = await loadShippedModes();
  const database = await openDatabase({ dataDir: join(folder, 'fold') });
  const costs: number[] = [];
  try {
    for (const count of recordCounts) costs.push(await foldCost(database, catalog, count));
  } finally {
    await database.close();
  }
  return costs;
}

async function foldCost(database: Database, catalog: ModeCatalog, count: number): Promise<number> {
  const mode = catalog.mode('subject');
  const user = await newTestUser(database.kysely, catalog);
  for (let at = 0; at < count; at += BATCH) {
    await user.push(...Array.from({ length: BATCH }, (_, i) => mail(at + i)));
  }
  await foldDataset(database.kysely, user.id, mode, new Date());
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    times.push(await timeFold(database, user, { mode, number: count + round }));
  }
  times.sort((a, b) => a - b);
  return must(times[Math.floor(ROUNDS / 2)], 'there were rounds');
}

async function timeFold(
  { kysely }: Database,
  user: TestUser,
  { mode, number }: { mode: Mode; number: number },
): Promise<number> {
  await user.push(mail(number));
  const startedAt = performance.now();
  await foldDataset(kysely, user.id, mode, new Date());
  return performance.now() - startedAt;
}

function mail(number: number) {
  const body = `Mail ${number}: the boat is out of the water and dry, so bring your brushes.`;
  return {
    ...{ source: 'mail.sent', recordId: `mail-${number}` },
    data: { to: [], subject: `Boat ${number}`, body },
  };
}
