// A deployment of several processes against its targets: changes taken, trainers added, datasets grown, faults survived.
// Needs PostgreSQL and Redis on this machine. Prints a table and, last, one line of JSON.

import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { say, showTable } from '../demo/show.ts';
import { countDamage } from './scale/faults.ts';
import { foldCosts } from './scale/fold.ts';
import { type Ingest, ingestByInserts, ingestThroughApi } from './scale/ingest.ts';
import { type Servers, startServers } from './scale/servers.ts';
import { trainerThroughput } from './scale/trainers.ts';

const RECORDS = [100, 1_000, 10_000];
const TRAINERS = [1, 2, 4];

const folder = await mkdtemp(join(tmpdir(), 'attune-scale-'));
const servers = await startServers();
try {
  await benchScale(servers);
} finally {
  await servers.stop();
  await rm(folder, { recursive: true, force: true });
}

async function benchScale({ newDatabase, redisUrl }: Servers): Promise<void> {
  const databaseUrl = await newDatabase();
  const postgres = await ingestThroughApi(folder, {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
  });
  const inserts = await ingestByInserts(databaseUrl);
  await rm(join(folder, 'ingest'), { recursive: true });
  const pglite = await ingestThroughApi(folder, {});
  const folds = await foldCosts(folder, RECORDS);
  const trainers: number[] = [];
  for (const count of TRAINERS) {
    trainers.push(
      await trainerThroughput(folder, { databaseUrl: await newDatabase(), redisUrl }, count),
    );
  }
  const damage = await countDamage({ postgres: await newDatabase(), redis: redisUrl });
  report({ postgres, inserts, pglite, folds, trainers, damage });
}

function report(figures: {
  postgres: Ingest;
  inserts: Ingest;
  pglite: Ingest;
  folds: readonly number[];
  trainers: readonly number[];
  damage: Awaited<ReturnType<typeof countDamage>>;
}): void {
  const { postgres, inserts, pglite, folds, trainers, damage } = figures;
  const [one = 0, two = 0, four = 0] = trainers;
  const [few = 0, some = 0, many = 0] = folds;
  const { lost, doubled, crossUserReads, operations } = damage;
  say(`${availableParallelism()} cores`);
  showTable(
    ['figure', 'measured', 'target'],
    [
      [
        'changes accepted, PostgreSQL',
        `${postgres.perS.toFixed(0)} /s`,
        `${(inserts.perS / 2).toFixed(0)} /s`,
      ],
      ['plain INSERTs of the same rows', `${inserts.perS.toFixed(0)} /s`, ''],
      ['p99 of a batch of 100', `${postgres.p99Ms.toFixed(0)} ms`, ''],
      ['changes accepted, PGlite', `${pglite.perS.toFixed(0)} /s`, ''],
      ['one change into 100 records', `${few.toFixed(1)} ms`, ''],
      ['one change into 1,000', `${some.toFixed(1)} ms`, ''],
      ['one change into 10,000', `${many.toFixed(1)} ms`, 'flat'],
      ['runs, 1 trainer process', `${one.toFixed(2)} /s`, ''],
      ['runs, 2', `${two.toFixed(2)} /s`, '2 x with 2 cores'],
      ['runs, 4', `${four.toFixed(2)} /s`, 'no less'],
      ['lost, doubled, cross-user', `${lost}, ${doubled}, ${crossUserReads}`, `0 of ${operations}`],
    ],
  );
  const json = {
    ingest_vs_pg: round(postgres.perS / inserts.perS),
    ingest_p99_ms: round(postgres.p99Ms),
    train_2_vs_1: round(two / one),
    train_4_vs_1: round(four / one),
    fold_cost_10k_vs_100: round(many / few),
    ...{ lost, doubled, cross_user_reads: crossUserReads, fault_operations: operations },
  };
  say(JSON.stringify(json));
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
