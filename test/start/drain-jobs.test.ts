import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { openQueue } from '../../jobs/queue.ts';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { readConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/db/database.ts';
import { must } from '../../src/lib/errors.ts';
import { claimRun, endRun } from '../../src/runs/run.ts';
import { drainJobs, resumeJobs } from '../../src/start/drain-jobs.ts';
import { newPostgresUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();
const NOW = new Date();

it.skipIf(!shouldRunWith('postgres'))(
  'draining waits for what runs and lets nothing else begin until trainers may go on',
  async () => {
    const databaseUrl = await newPostgresUrl();
    const database = await openDatabase({ dataDir: inFolder(), databaseUrl });
    const db = database.kysely;
    const { id: userId } = await ensureUser(db, randomUUID(), NOW);
    const key = { userId, mode: 'subject' };
    await queueRuns(db, userId, [key.mode], { now: NOW });
    const claim = must(await claimRun(db, key, NOW), 'a run is due');
    const taken: unknown[] = [];
    const onError = (error: unknown) => {
      throw error;
    };
    const queue = await openQueue({ database, onError });
    const lines: string[] = [];
    const print = (text: string) => {
      lines.push(text);
      // it is told of while it runs, so it can only end after that
      if (text.includes('still running'))
        void endRun(db, claim, { status: 'SKIPPED', reason: 'done', now: NOW });
    };
    const config = readConfig({ dataDir: inFolder(), databaseUrl }, {});
    await drainJobs(config, print);
    expect(lines).toEqual(['1 still running\n', expect.stringContaining('nothing runs')]);
    const worker = await queue.work(
      (payload) => {
        taken.push(payload);
        return Promise.resolve();
      },
      { concurrency: 1, onError },
    );
    await queue.enqueue(key, 0);
    expect(taken).toEqual([]);
    await resumeJobs(config, print);
    await expect.poll(() => taken).toEqual([key]);
    await worker.close();
    await queue.close();
    await database.close();
  },
);

it('needs a database that processes share', async () => {
  const config = readConfig({ dataDir: inFolder() }, {});
  await expect(drainJobs(config, () => undefined)).rejects.toThrow('Name a PostgreSQL');
});
