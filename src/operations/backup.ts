// A copy of a deployment in a folder: `rows.gz`, a line per row of the database, and `adapters/` with their files. Keys are
// not in it. Taken while servers work: the rows are those of one moment, and the files that they name never change.

import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { AdapterStore } from '../adapters/store.ts';
import type { Db } from '../db/database.ts';
import { type DumpedRow, dumpRows, restoreRows } from '../db/dump.ts';

const ROWS_FILE = 'rows.gz';
const ADAPTERS_FOLDER = 'adapters';

/** What a deployment consists of. */
export interface Deployment {
  readonly db: Db;
  readonly store: AdapterStore;
}

/** What a backup or a restore has copied. */
export interface Copied {
  readonly rows: number;
  readonly adapters: number;
  /** Adapters whose bytes were damaged or lost: they are left out, and withdrawn when somebody asks for them. */
  readonly damaged: readonly string[];
}

/** Writes a copy into a new folder. */
export async function backUp({ db, store }: Deployment, folder: string): Promise<Copied> {
  await mkdir(folder);
  await mkdir(join(folder, ADAPTERS_FOLDER));
  const rows = await writeRows(db, join(folder, ROWS_FILE));
  // after the rows: an adapter that a row names is in the store before the row
  const damaged: string[] = [];
  const names = await publishedAdapters(db);
  for (const sha256 of names) {
    const isIntact = await store.isIntact(sha256);
    if (!isIntact) damaged.push(sha256);
    else await cp(store.pathOf(sha256), join(folder, ADAPTERS_FOLDER, sha256), { recursive: true });
  }
  return { rows, adapters: names.length - damaged.length, damaged };
}

/** Reads a copy into an empty deployment. Throws when it is not empty, and when an adapter is not what its name says. */
export async function restore({ db, store }: Deployment, folder: string): Promise<Copied> {
  const names = await readdir(join(folder, ADAPTERS_FOLDER));
  for (const name of names) {
    const { sha256 } = await store.put(join(folder, ADAPTERS_FOLDER, name));
    if (sha256 !== name)
      throw new Error(`the backup's adapter ${name} is damaged: it is ${sha256}`);
  }
  let rows = 0;
  const count = async function* () {
    for await (const row of readRows(join(folder, ROWS_FILE))) {
      rows += 1;
      yield row;
    }
  };
  await restoreRows(db, count());
  return { rows, adapters: names.length, damaged: [] };
}

async function writeRows(db: Db, path: string): Promise<number> {
  const gzip = createGzip();
  const written = pipeline(gzip, createWriteStream(path, { flags: 'wx' }));
  let count = 0;
  const dumped = dumpRows(db, async (rows) => {
    count += rows.length;
    const lines = rows.map(({ table, json }) => `${table} ${json}\n`).join('');
    if (!gzip.write(lines)) await once(gzip, 'drain');
  }).then(
    () => gzip.end(),
    (error) => gzip.destroy(error),
  );
  await Promise.all([written, dumped]);
  return count;
}

async function* readRows(path: string): AsyncGenerator<DumpedRow> {
  const text = createReadStream(path).pipe(createGunzip());
  for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
    const space = line.indexOf(' ');
    yield { table: line.slice(0, space), json: line.slice(space + 1) };
  }
}

async function publishedAdapters(db: Db): Promise<string[]> {
  const adapters = await db
    .selectFrom('adapters')
    .select('sha256')
    .distinct()
    .where('status', 'in', ['LIVE', 'SUPERSEDED'])
    .orderBy('sha256')
    .execute();
  return adapters.map(({ sha256 }) => sha256);
}
