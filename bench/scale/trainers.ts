// How many runs one, two and more trainer processes finish in the same time.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readMailbox } from '../../demo/mailbox.ts';
import { openQueue } from '../../jobs/queue.ts';
import { relayDueRuns } from '../../jobs/relay.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { AttuneProcess } from '../../test/support/servers/attune-process.ts';
import { loadShippedModes, newTestUser } from '../../test/support/test-user.ts';
import { type Figure, median } from '../decode/figure.ts';
import type { Servers } from './servers.ts';

const MODE = 'subject';
const RUNS = 12;
const POLL_MS = 200;

const TRAINERS = [1, 2, 4];

/** How fast runs were trained. */
interface Training {
  /** From the first that was taken to the last that ended. */
  readonly runsPerS: number;
  /** The median of the times between a run's end and the next one's start; of use for one trainer only. */
  readonly gapMs: number;
}

/** Of one, two and four trainer processes. */
export async function trainerFigures(folder: string, servers: Servers): Promise<Figure[]> {
  const { redisUrl } = servers;
  const trainings: Training[] = [];
  for (const count of TRAINERS) {
    const databaseUrl = await servers.newDatabase();
    trainings.push(await trainWith(join(folder, `${count}`), { databaseUrl, redisUrl }, count));
  }
  const [one = 0, two = 0, four = 0] = trainings.map(({ runsPerS }) => runsPerS);
  const reach = availableParallelism() === 2 ? '2 cores' : `${availableParallelism()} cores`;
  const rate = (key: string, value: number, count: string) => ({
    ...{ key, value, reach: '' },
    from: `runs a second, tiny base, by ${count}`,
  });
  return [
    { key: 'train_2_vs_1', value: two / one, reach, from: 'two processes over one' },
    { key: 'train_4_vs_1', value: four / one, reach, from: 'four over one' },
    rate('train_1_per_s', one, 'one process'),
    rate('train_2_per_s', two, 'two'),
    rate('train_4_per_s', four, 'four'),
    {
      ...{ key: 'queue_gap_ms', value: trainings[0]?.gapMs ?? Number.NaN, reach: '' },
      from: "from a run's end to the next one's start, one process",
    },
  ];
}

async function trainWith(
  own: string,
  servers: { databaseUrl: string; redisUrl: string },
  processCount: number,
): Promise<Training> {
  const { databaseUrl, redisUrl } = servers;
  const database = await openDatabase({ dataDir: own, databaseUrl });
  const trainers = Array.from({ length: processCount }, (_, i) =>
    startTrainer(join(own, `${i}`), { ...servers, own }),
  );
  const queue = await openQueue({ database, redisUrl, onError: fail });
  try {
    await Promise.all(trainers.map((trainer) => trainer.printed(/is training/)));
    const catalog = await loadShippedModes();
    const mails = readMailbox().map(({ source, recordId, data }) => ({
      source,
      recordId,
      data: { ...data },
    }));
    for (let i = 0; i < RUNS; i += 1)
      await (await newTestUser(database.kysely, catalog)).push(...mails);
    const only = { ...catalog, modes: [catalog.mode(MODE)] };
    const wakeups = openLocalWakeups();
    await relayDueRuns({
      db: database.kysely,
      queue,
      catalog: only,
      wakeups,
      clock: systemClock,
      onError: fail,
    });
    return await trainingOf(database);
  } finally {
    for (const trainer of trainers) trainer.kill('SIGTERM');
    await Promise.all(trainers.map((trainer) => trainer.exit()));
    await queue.close();
    await database.close();
  }
}

function startTrainer(
  dataDir: string,
  { databaseUrl, redisUrl, own }: { databaseUrl: string; redisUrl: string; own: string },
): AttuneProcess {
  const flags = [
    '--data',
    dataDir,
    '--keys',
    own,
    '--model',
    'tiny',
    '--modes',
    MODE,
    '--concurrency',
    '1',
  ];
  return new AttuneProcess(['train', ...flags, '--log-level', 'error'], {
    ...{ DATABASE_URL: databaseUrl, REDIS_URL: redisUrl },
    BLOB_URL: pathToFileURL(join(own, 'blobs')).href,
  });
}

async function trainingOf({ kysely }: Database): Promise<Training> {
  for (;;) {
    const runs = await kysely
      .selectFrom('runs')
      .select(['startedAt', 'finishedAt'])
      .where('mode', '=', MODE)
      .orderBy('startedAt')
      .execute();
    const starts = runs.map(({ startedAt }) => startedAt?.getTime() ?? 0);
    const ends = runs.map(({ finishedAt }) => finishedAt?.getTime() ?? 0);
    if (!ends.includes(0)) {
      const seconds = (Math.max(...ends) - Math.min(...starts)) / 1000;
      const gaps = starts.slice(1).map((start, i) => start - (ends[i] ?? start));
      return { runsPerS: RUNS / seconds, gapMs: median(gaps) };
    }
    await systemClock.sleep(POLL_MS);
  }
}

function fail(error: unknown): never {
  throw error;
}
