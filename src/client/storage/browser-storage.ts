// A device's storage in a browser: the state in IndexedDB, the files in the origin-private file system, or, where a browser
// has none, in IndexedDB too, in chunks of [name, position]. A file is in memory as a whole while it is read or hashed.

import type { Json } from '../../lib/canonical-json.ts';
import { bytesSha256 } from './bytes-sha256.ts';
import {
  type BrowserGlobals,
  completionOf,
  type Db,
  type DbKey,
  type DbStore,
  type DbTransaction,
  resultOf,
} from './indexed-db.ts';
import { type FolderHandle, openOpfsFiles } from './opfs-files.ts';
import { type DeviceFiles, type DeviceStorage, QuotaError } from './storage.ts';

const STATE = 'state';
const FILES = 'files';
const VERSION = 1;
/** Behind every key of a prefix: no key of ours has this character. */
const LAST = '\uffff';

/** Opens the storage of that name, made if it is not there. Throws when another page has it open. */
export async function openBrowserStorage(
  name: string,
  browser: BrowserGlobals = globalThis as unknown as BrowserGlobals,
): Promise<DeviceStorage> {
  const release = await takeLock(`attune:${name}`, browser);
  const db = await openDb(name, browser);
  const range = (from: DbKey, to: DbKey) => browser.IDBKeyRange.bound(from, to);
  const read = () => begin(db, STATE, 'readonly').objectStore(STATE);
  return {
    get: async (key) => (await resultOf(read().get(key))) as Json | undefined,
    list: async (prefix) => {
      const store = read();
      const within = range(prefix, prefix + LAST);
      const [keys, values] = await Promise.all([
        resultOf(store.getAllKeys(within)),
        resultOf(store.getAll(within)),
      ]);
      return keys.map((key, n) => [key as string, values[n] as Json] as const);
    },
    write: (writes) =>
      change(db, STATE, (store) => {
        for (const [key, value] of writes) {
          if (value === undefined) store.delete(key);
          else store.put(value, key);
        }
      }),
    // when the database clears up is the browser's affair
    compact: () => Promise.resolve(),
    files: (await privateFiles(name, browser)) ?? databaseFiles(db, range),
    close: () => {
      db.close();
      release();
      return Promise.resolve();
    },
  };
}

/** The lock of this page, given back by calling the result. */
function takeLock(name: string, { navigator }: BrowserGlobals): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = (lock: unknown) => {
      if (lock === null) {
        reject(new Error(`another page has ${name} open`));
        return undefined;
      }
      return new Promise<void>((release) => resolve(release));
    };
    navigator.locks.request(name, { ifAvailable: true }, held).catch(reject);
  });
}

async function openDb(name: string, { indexedDB }: BrowserGlobals): Promise<Db> {
  const request = indexedDB.open(`attune:${name}`, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(STATE);
    request.result.createObjectStore(FILES);
  };
  return await resultOf(request);
}

function begin(db: Db, store: string, mode: 'readonly' | 'readwrite'): DbTransaction {
  return db.transaction([store], mode, { durability: 'strict' });
}

/** Makes all of the changes or none. A step that waits may wait only for requests of the store. */
async function change(
  db: Db,
  name: string,
  step: (store: DbStore) => void | Promise<void>,
): Promise<void> {
  const transaction = begin(db, name, 'readwrite');
  const completion = completionOf(transaction);
  try {
    await changeOrAbort(transaction, () => step(transaction.objectStore(name)));
    await completion;
  } catch (error) {
    // the transaction fails with its step, for the same reason, which is thrown here
    completion.catch(() => undefined);
    const isFull = (error as { readonly name?: string } | null)?.name === 'QuotaExceededError';
    throw isFull ? new QuotaError('the browser gives no more room', { cause: error }) : error;
  }
}

/** Without the abort, what was asked for before a step failed would be kept. */
async function changeOrAbort(
  transaction: DbTransaction,
  step: () => void | Promise<void>,
): Promise<void> {
  try {
    await step();
  } catch (error) {
    transaction.abort();
    throw error;
  }
}

/** Null where the browser has no such file system, or does not give it away, as some do in private windows. */
async function privateFiles(
  name: string,
  { navigator }: BrowserGlobals,
): Promise<DeviceFiles | null> {
  let root: FolderHandle;
  try {
    root = (await navigator.storage?.getDirectory?.()) as FolderHandle;
  } catch (error) {
    if ((error as { readonly name?: string }).name !== 'SecurityError') throw error;
    return null;
  }
  if (root === undefined) return null;
  const folder = await root.getDirectoryHandle(`attune-${encodeURIComponent(name)}`, {
    create: true,
  });
  return await openOpfsFiles(folder);
}

function databaseFiles(db: Db, range: (from: DbKey, to: DbKey) => unknown): DeviceFiles {
  const chunksOf = (name: string) => range([name], [name, Number.POSITIVE_INFINITY]);
  const store = () => begin(db, FILES, 'readonly').objectStore(FILES);
  const chunks = async (name: string) =>
    (await resultOf(store().getAll(chunksOf(name)))) as Uint8Array[];
  const size = async (name: string) => {
    const keys = await resultOf(store().getAllKeys(chunksOf(name)));
    const last = keys.at(-1);
    if (last === undefined) return null;
    const chunk = (await resultOf(store().get(last))) as Uint8Array;
    return Number(last[1]) + chunk.length;
  };
  const read = async (name: string) => joined(await chunks(name));
  return {
    size,
    append: async (name, bytes) => {
      const at = await size(name);
      if (at !== null && bytes.length === 0) return;
      await change(db, FILES, (files) => void files.put(bytes.slice(), [name, at ?? 0]));
    },
    putNamed: async (sha256, bytes) => {
      if ((await bytesSha256(bytes)) !== sha256) return false;
      await change(db, FILES, (files) => {
        files.delete(chunksOf(sha256));
        files.put(bytes.slice(), [sha256, 0]);
      });
      return true;
    },
    read,
    sha256: async (name) => bytesSha256(await read(name)),
    rename: (from, to) =>
      change(db, FILES, async (files) => {
        const keys = await resultOf(files.getAllKeys(chunksOf(from)));
        const parts = await resultOf(files.getAll(chunksOf(from)));
        files.delete(chunksOf(to));
        for (const [n, key] of keys.entries()) files.put(parts[n], [to, key[1] ?? 0]);
        files.delete(chunksOf(from));
      }),
    remove: (name) => change(db, FILES, (files) => void files.delete(chunksOf(name))),
    list: async () => {
      const keys = await resultOf(store().getAllKeys());
      return [...new Set(keys.map((key) => String(key[0])))];
    },
  };
}

const lengthOf = (parts: readonly Uint8Array[]) =>
  parts.reduce((sum, part) => sum + part.length, 0);

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
