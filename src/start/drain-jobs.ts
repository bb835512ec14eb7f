import { openQueue, type TrainQueue } from '../../jobs/queue.ts';
import type { Config } from '../config.ts';
import { type Db, openDatabase } from '../db/database.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { countRunning } from '../runs/run-reports.ts';
import { requireSharedDatabase } from './require-shared-database.ts';

/** How often it is looked whether something still runs. */
const POLL_MS = 500;

/** Lets no trainer take another run, waits until those that run have ended, and says so. Changes are accepted as before, and
 *  what they ask for waits for `resumeJobs`. Throws StartError without a database that processes can share. */
export async function drainJobs(
  config: Config,
  print: (text: string) => void,
  clock: Clock = systemClock,
): Promise<void> {
  await withQueue(config, async (queue, db) => {
    await queue.pause();
    let running = await countRunning(db);
    while (running > 0) {
      print(`${running} still running\n`);
      const before = running;
      while (running === before) {
        await clock.sleep(POLL_MS);
        running = await countRunning(db);
      }
    }
    print('nothing runs; attune jobs --resume lets trainers go on\n');
  });
}

/** Lets trainers take runs again. */
export async function resumeJobs(config: Config, print: (text: string) => void): Promise<void> {
  await withQueue(config, (queue) => queue.resume());
  print('trainers go on\n');
}

async function withQueue(
  config: Config,
  use: (queue: TrainQueue, db: Db) => Promise<void>,
): Promise<void> {
  requireSharedDatabase(config, 'jobs --drain');
  const { dataDir, databaseUrl, redisUrl } = config;
  const database = await openDatabase({ dataDir, databaseUrl });
  const failures: unknown[] = [];
  const queue = await openQueue({ database, redisUrl, onError: (error) => failures.push(error) });
  try {
    await use(queue, database.kysely);
    if (failures.length > 0) throw failures[0];
  } finally {
    await queue.close();
    await database.close();
  }
}
