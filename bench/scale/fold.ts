// What it costs to fold one change into a dataset that is there already.

import { foldDataset } from '../../src/dataset/fold-dataset.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { tidyBuiltIn } from '../../src/db/tidy-built-in.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { loadShippedModes, newTestUser, type TestUser } from '../../test/support/test-user.ts';
import { type Figure, median } from '../decode/figure.ts';

const RECORDS = [100, 1_000, 10_000];
const WARM_UP = 200;
const ROUNDS = 15;
const BATCH = 100;

/** Of one change, into a dataset of few records and of many. */
export async function foldFigures(folder: string): Promise<Figure[]> {
  const catalog = await loadShippedModes();
  const database = await openDatabase({ dataDir: folder });
  const costs: number[] = [];
  try {
    // not counted: what is compiled while it runs
    await foldCost(database, catalog, WARM_UP);
    for (const count of RECORDS) costs.push(await foldCost(database, catalog, count));
  } finally {
    await database.close();
  }
  const [few = 0, some = 0, many = 0] = costs;
  const ms = (key: string, value: number, count: string) => ({
    ...{ key, value, reach: '' },
    from: `ms to fold one change into ${count} records`,
  });
  return [
    {
      ...{ key: 'fold_cost_10k_vs_100', value: many / few, reach: 'flat' },
      from: 'the last of the next three by the first',
    },
    ms('fold_100_ms', few, '100'),
    ms('fold_1k_ms', some, '1,000'),
    ms('fold_10k_ms', many, '10,000'),
  ];
}

async function foldCost(database: Database, catalog: ModeCatalog, count: number): Promise<number> {
  const mode = catalog.mode('subject');
  const user = await newTestUser(database.kysely, catalog);
  for (let at = 0; at < count; at += BATCH) {
    await user.push(...Array.from({ length: BATCH }, (_, i) => mail(at + i)));
  }
  await foldDataset(database.kysely, user.id, mode, new Date());
  await tidyBuiltIn(database);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    times.push(await timeFold(database, user, { mode, number: count + round }));
  }
  return median(times);
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
