// A copy of a deployment in a folder: `rows.gz`, a line per row of the database, and `adapters/` with their files, sealed as
// they are. Keys are not in it. Taken while servers work: the rows are those of one moment, and the files that they name never change.

import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { cp, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { AdapterName, AdapterStore } from '../adapters/store.ts';
import type { Db, Tx } from '../db/database.ts';
import { type DumpedRow, dumpRows, restoreRows } from '../db/dump.ts';
import { vaultOf } from '../db/sealed-columns.ts';
import { keysInUse } from '../db/sealed-generations.ts';
import { eraseAgain } from '../erasure/erase-user.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { StartError } from '../lib/start-error.ts';

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
  /** Users who were erased after the backup was made, and are again. */
  readonly erased: number;
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
  for (const name of names) {
    if (!(await store.isIntact(name))) damaged.push(name.sha256);
    else await cp(store.pathOf(name), copyOf(folder, name), { recursive: true });
  }
  return { rows, adapters: names.length - damaged.length, erased: 0, damaged };
}

/** Reads a copy into an empty deployment with the keys of the one that it is of. Users who were erased since are erased
 *  again. Throws when it is not empty, when a data key was destroyed since (then it stays empty), and when an adapter is not what
 *  its name says. */
export async function restore(
  { db, store, clock = systemClock }: Deployment & { readonly clock?: Clock },
  folder: string,
): Promise<Copied> {
  const rows = await restoreRows(db, readRows(join(folder, ROWS_FILE)), requireTheirKeys);
  const erased = await eraseAgain(db, new Date(clock.now()));
  let adapters = 0;
  for (const name of await publishedAdapters(db)) {
    const copy = copyOf(folder, name);
    // what was damaged already is not in the copy
    if ((await stat(copy).catch(nullIfMissing)) === null) continue;
    await store.takeCopy(copy, name);
    if (!(await store.isIntact(name)))
      throw new Error(`the backup's adapter ${name.sha256} is damaged, or its keys are others`);
    adapters += 1;
  }
  return { rows, adapters, erased, damaged: [] };
}

/** Throws StartError where a user has keys, and none of them opens what lies sealed. */
async function requireTheirKeys(tx: Tx): Promise<void> {
  const vault = vaultOf(tx);
  const withKeys = new Set(await vault.userIds());
  for (const { userId, generation } of await keysInUse(tx)) {
    if (!withKeys.has(userId)) continue;
    const { fileKeys } = await vault.keysOf(userId);
    if (fileKeys.some((key) => key.generation === generation)) continue;
    const remedy = 'Restore one that was made since, or bring back the keys folder of that time';
    throw new StartError(
      `Data key ${generation} of user ${userId}, which sealed this backup, was destroyed by a rotation. ${remedy}.`,
    );
  }
}

function copyOf(folder: string, { userId, sha256 }: AdapterName): string {
  return join(folder, ADAPTERS_FOLDER, userId ?? 'shipped', sha256);
}

async function writeRows(db: Db, path: string): Promise<number> {
  const gzip = createGzip();
  const written = pipeline(gzip, createWriteStream(path, { flags: 'wx' }));
  const dumped = dumpRows(db, async (rows) => {
    const lines = rows.map(({ table, json }) => `${table} ${json}\n`).join('');
    if (!gzip.write(lines)) await once(gzip, 'drain');
  });
  dumped.then(
    () => gzip.end(),
    (error) => gzip.destroy(error),
  );
  const [count] = await Promise.all([dumped, written]);
  return count;
}

async function* readRows(path: string): AsyncGenerator<DumpedRow> {
  const text = createReadStream(path).pipe(createGunzip());
  for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
    const space = line.indexOf(' ');
    yield { table: line.slice(0, space), json: line.slice(space + 1) };
  }
}

function publishedAdapters(db: Db): Promise<AdapterName[]> {
  return db
    .selectFrom('adapters')
    .select(['userId', 'sha256'])
    .distinct()
    .where('status', 'in', ['LIVE', 'SUPERSEDED'])
    .orderBy('sha256')
    .execute();
}
