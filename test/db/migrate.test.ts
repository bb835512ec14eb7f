import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { newDataFolder, newPostgresUrl } from '../support/databases.ts';
import { shouldRunWith } from '../support/programs.ts';

describe('migrations (PGlite)', () => {
  it('leave a database that is up to date as it is', async () => {
    const dataDir = await newDataFolder();
    const first = await openDatabase({ dataDir });
    const user = { subject: 'ada', feedEpoch: 'e', createdAt: new Date() };
    await first.kysely.insertInto('users').values(user).execute();
    await first.close();
    const second = await openDatabase({ dataDir });
    expect(await second.kysely.selectFrom('users').select('subject').execute()).toHaveLength(1);
    await second.close();
    await rm(dataDir, { recursive: true });
  });
});

describe.skipIf(!shouldRunWith('postgres'))('migrations (PostgreSQL)', () => {
  it('are made once when three servers start at once', async () => {
    const databaseUrl = await newPostgresUrl();
    const open = () => openDatabase({ dataDir: '/nowhere', databaseUrl });
    const databases = await Promise.all([open(), open(), open()]);
    for (const { kysely } of databases) {
      expect(await kysely.selectFrom('users').selectAll().execute()).toEqual([]);
    }
    await Promise.all(databases.map((database) => database.close()));
  });

  it('say what is wrong when there is no server', async () => {
    const databaseUrl = 'postgres://postgres@127.0.0.1:1/none';
    const open = openDatabase({ dataDir: '/nowhere', databaseUrl });
    await expect(open).rejects.toThrow('cannot bring the database up to date');
  });
});
