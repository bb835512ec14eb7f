// How many runs one, two and more trainer processes finish in the same time.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readMailbox } from '../../demo/mailbox.ts';
import { openQueue } from '../../jobs/queue.ts';
import { relayDueRuns } from '../../jobs/relay.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { AttuneProcess } from '../../test/support/attune-process.ts';
import { loadShippedModes, newTestUser } from '../../test/support/test-user.ts';

const MODE = 'subject';
const RUNS = 8;
const POLL_MS = 200;

/** Runs per second, from the first that was taken to the last that ended. */
export async function trainerThroughput(
  folder: string,
  servers: { databaseUrl: string; redisUrl: string },
  processCount: number,
): Promise<number> {
  const { databaseUrl, redisUrl } = servers;
  const own = join(folder, `trainers-${processCount}`);
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
    return RUNS / (await secondsOfRuns(database));
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

async function secondsOfRuns({ kysely }: Database): Promise<number> {
  for (;;) {
    const runs = await kysely
      .selectFrom('runs')
      .select(['startedAt', 'finishedAt'])
      .where('mode', '=', MODE)
      .execute();
    const ends = runs.map(({ finishedAt }) => finishedAt?.getTime() ?? 0);
    if (!ends.includes(0)) {
      const starts = runs.map(({ startedAt }) => startedAt?.getTime() ?? 0);
      return (Math.max(...ends) - Math.min(...starts)) / 1000;
    }
    await systemClock.sleep(POLL_MS);
  }
}

function fail(error: unknown): never {
  throw error;
}
