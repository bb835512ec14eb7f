import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { type Database, openDatabase } from '../../../src/db/database.ts';
import { shouldRunWith } from './programs.ts';

/** Runs a suite on PGlite, and on PostgreSQL where it is installed. The database is open, migrated, the file's own, and
 *  shared by its tests: give each test users of its own. */
export function describeEachDatabase(
  name: string,
  suite: (database: () => Database) => void,
): void {
  describe(`${name} (PGlite)`, () => suite(opened('pglite')));
  describe.skipIf(!shouldRunWith('postgres'))(`${name} (PostgreSQL)`, () =>
    suite(opened('postgres')),
  );
}

/** Runs a suite on PGlite alone, for what does not depend on the database. */
export function describeWithDatabase(
  name: string,
  suite: (database: () => Database) => void,
): void {
  describe(name, () => suite(opened('pglite')));
}

function opened(kind: Database['kind']): () => Database {
  let test: { database: Database; dataDir: string } | null = null;
  beforeAll(async () => {
    const isPglite = kind === 'pglite';
    const dataDir = isPglite ? await newDataFolder() : await newFolder();
    const databaseUrl = isPglite ? undefined : await newPostgresUrl();
    test = { dataDir, database: await openDatabase({ dataDir, databaseUrl }) };
  });
  afterAll(async () => {
    await test?.database.close();
    if (test !== null) await rm(test.dataDir, { recursive: true, force: true });
  });
  return () => {
    if (test === null) throw new Error('the database is open only inside tests');
    return test.database;
  };
}

/** A data folder with a migrated PGlite in it, not open. The caller removes it. */
export async function newDataFolder(): Promise<string> {
  const folder = await newFolder();
  await copyDatabase(folder);
  return folder;
}

/** Puts a migrated PGlite into a data folder that has none: a server's first start there is spared what takes it longest. */
export async function copyDatabase(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  // takes a tenth of the processor time that Node's own copy of so many files takes
  await promisify(execFile)('cp', ['-R', join(await ask('/pglite'), 'pg'), dataDir]);
}

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'attune-data-'));

/** The URL of an empty database on the tests' PostgreSQL. */
export const newPostgresUrl = (): Promise<string> => ask('/postgres');

/** The URL of an empty database on the tests' Redis; only what is published reaches the others. */
export const redisUrl = (): Promise<string> => ask('/redis');

async function ask(path: string): Promise<string> {
  const response = await fetch(`${inject('serversUrl')}${path}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`no ${path.slice(1)} for the tests: ${text}`);
  return text;
}
