// A trainer in a process of its own, to be stopped: it takes runs of the deployment that its parent names, says when it begins
// to train, and ends no training before it is told to. Told to close, it says how often it has published.

import { join } from 'node:path';
import { startJobs } from '../../../jobs/start.ts';
import { openAdapterStore } from '../../../src/adapters/store.ts';
import { openDatabase } from '../../../src/db/database.ts';
import { vaultOf } from '../../../src/db/sealed-columns.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { openRedisWakeups } from '../../../src/lib/redis-wakeups.ts';
import { FAKE_BASE } from '../api/api-server.ts';
import { deferred } from '../deferred.ts';
import type { ServerUrls } from '../faults/damage.ts';
import { pretendToTrain } from './pretend-trainer.ts';
import { quickCatalog } from './quick-catalog.ts';

/** Where it works, for which mode, and how long it may be silent. */
export interface TrainerPlace {
  readonly urls: ServerUrls;
  readonly folder: string;
  readonly mode: string;
  readonly leaseMs: number;
}

async function start({ urls, folder, mode, leaseMs }: TrainerPlace): Promise<void> {
  const database = await openDatabase({ dataDir: folder, databaseUrl: urls.postgres });
  const mayEnd = deferred();
  let published = 0;
  const jobs = await startJobs({
    ...{ database, redisUrl: urls.redis, relays: false, trains: true, concurrency: 1, leaseMs },
    onError: () => undefined,
    run: {
      db: database.kysely,
      catalog: await quickCatalog(mode),
      base: FAKE_BASE,
      wakeups: await openRedisWakeups(urls.redis, () => undefined),
      clock: systemClock,
      store: await openAdapterStore(folder, vaultOf(database.kysely)),
      workDir: join(folder, 'work-apart'),
      train: async (job) => {
        process.send?.('training');
        await mayEnd.promise;
        return pretendToTrain(job);
      },
      onPublished: () => {
        published += 1;
      },
    },
  });
  process.on('message', () => {
    mayEnd.resolve();
    void jobs.close().then(() => process.send?.(published));
  });
  process.send?.('ready');
}

process.once('message', (place: TrainerPlace) => void start(place));
process.once('disconnect', () => process.exit());
