import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/db/database.ts';
import { doctor, perform } from '../../src/operations/operate.ts';
import { newDataFolder, newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

let dataDir: string;
let cacheDir: string;
beforeAll(async () => {
  dataDir = await newDataFolder();
  cacheDir = await mkdtemp(join(tmpdir(), 'attune-operate-'));
});
afterAll(async () => {
  for (const folder of [dataDir, cacheDir]) await rm(folder, { recursive: true });
});

const config = (rest: Record<string, string> = {}): Config =>
  readConfig({ dataDir, cacheDir, model: 'tiny', modes: 'subject', ...rest }, {});

describe('doctor', () => {
  it('says of each part what there is', async () => {
    const { isWell, text } = await doctor(config());
    expect(text).toMatch(/^ok {2}modes {2}subject$/m);
    expect(text).toMatch(/^ok {2}database {2}built in/m);
    expect(text).toMatch(/^ok {2}base model {2}tiny: to be fetched at the first start$/m);
    expect(isWell).toBe(true);
  });

  it('says who has the data folder, and goes on with the other parts', async () => {
    const database = await openDatabase({ dataDir });
    const { isWell, text } = await doctor(config());
    await database.close();
    expect(isWell).toBe(false);
    expect(text).toMatch(/^FAULT {2}database {2}.*in use by process/m);
    expect(text).toMatch(/base model/);
  });

  it.skipIf(!shouldRunWith('redis-server'))('finds a Redis that may lose jobs', async () => {
    // the tests' Redis keeps nothing on disk
    const { isWell, text } = await doctor(config({ redisUrl: await redisUrl() }));
    expect(isWell).toBe(false);
    expect(text).toMatch(/^FAULT {2}redis {2}appendonly is off/m);
  });

  it.skipIf(!shouldRunWith('postgres'))('finds a PostgreSQL that may lose changes', async () => {
    // the tests' PostgreSQL does without fsync
    const { text } = await doctor(config({ databaseUrl: await newPostgresUrl() }));
    expect(text).toMatch(/^FAULT {2}database {2}fsync is off/m);
  });
});

describe('jobs and users', () => {
  it('are listed, and what failed last is queued again', async () => {
    const database = await openDatabase({ dataDir });
    const db = database.kysely;
    const user = await ensureUser(db, `ann-${randomUUID()}`, new Date());
    const run = { userId: user.id, forced: false, losses: '[]', queuedAt: new Date() };
    await db
      .insertInto('runs')
      .values([
        { ...run, mode: 'subject', status: 'FAILED' },
        { ...run, mode: 'reply', status: 'FAILED' },
        { ...run, mode: 'reply', status: 'PUBLISHED' },
      ])
      .execute();
    await queueRuns(db, user.id, ['continue'], { now: new Date() });
    await database.close();
    expect(await perform(config(), { name: 'users' })).toContain(
      `${user.subject}  0 devices  0 records  0 adapters`,
    );
    const before = await perform(config(), { name: 'jobs' });
    expect(before).toMatch(/subject {2}FAILED/);
    expect(before).toMatch(/continue {2}QUEUED/);
    expect(await perform(config(), { name: 'retry' })).toBe('1 queued again\n');
    const after = await perform(config(), { name: 'jobs' });
    expect(after.match(/QUEUED/g)).toHaveLength(2);
    expect(after).toMatch(/subject {2}QUEUED/);
  });
});
