import { rm } from 'node:fs/promises';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/db/database.ts';
import { StartError } from '../../src/lib/start-error.ts';
import { migrateDatabase } from '../../src/operations/operate.ts';
import { newDataFolder, newPostgresUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

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

  it('refuse a database that a newer program has changed, and leave it alone', async () => {
    const dataDir = await newDataFolder();
    const newer = await openDatabase({ dataDir });
    await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '')`.execute(
      newer.kysely,
    );
    await newer.close();
    const older = openDatabase({ dataDir });
    await expect(older).rejects.toThrow(StartError);
    await expect(older).rejects.toThrow('by a newer Attune (9999-later)');
    await rm(dataDir, { recursive: true });
  });
});

describe.skipIf(!shouldRunWith('postgres'))('migrations (PostgreSQL)', () => {
  it('are made by those who may, who say how far they are, and by nobody else', async () => {
    const databaseUrl = await newPostgresUrl();
    const server = () => openDatabase({ dataDir: '/nowhere', databaseUrl, migrates: false });
    await expect(server()).rejects.toThrow(StartError);
    await expect(server()).rejects.toThrow(/lacks 0001-first-tables, .*: run attune migrate first/);
    const told: string[] = [];
    const config = readConfig({ dataDir: '/nowhere', databaseUrl }, {});
    await migrateDatabase(config, (text) => told.push(text));
    expect(told.slice(0, 2)).toEqual([
      '0001-first-tables ...\n',
      expect.stringMatching(/^0001-first-tables: \d+ ms\n$/),
    ]);
    expect(told.at(-1)).toBe('the tables are up to date\n');
    const { kysely, close } = await server();
    expect(await kysely.selectFrom('users').selectAll().execute()).toEqual([]);
    await close();
  });

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
    await expect(open).rejects.toThrow('Cannot use PostgreSQL at 127.0.0.1:1/none');
  });
});
