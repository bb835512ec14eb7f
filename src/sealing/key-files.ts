// Where the users' wrapped data keys lie: a file per user in the keys folder, not in the database, so that a copy of the
// database, made at any time, is worth nothing once the file is gone.

import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { leftoversOf, sync } from '../lib/atomic-file.ts';
import { systemClock } from '../lib/clock.ts';
import { holding, waitForFileLock } from '../lib/file-lock.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { createSecretFile, replaceSecretFile } from '../lib/secret-file.ts';
import type { WrappedKey } from './master-keys.ts';

const FOLDER = 'data-keys';
const LOCK_FILE = 'data-keys.lock';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** One of a user's data keys. */
export interface Generation {
  /** From 1. */
  readonly number: number;
  readonly key: WrappedKey;
  /** Milliseconds since the Unix epoch. */
  readonly madeAt: number;
}

/** All keys of a user, as they are kept. */
export interface KeyRing {
  /** Makes keyed hashes, which must stay as they are while data keys change. */
  readonly hashKey: WrappedKey;
  /** The newest first: it seals; the others open what they sealed. */
  readonly generations: readonly Generation[];
}

/** Keeps key rings by user id. */
export interface KeyStore {
  read(userId: string): Promise<KeyRing | null>;
  /** Keeps the first ring of a user; of two that are made at once one is kept. */
  create(userId: string, ring: KeyRing): Promise<void>;
  replace(userId: string, ring: KeyRing): Promise<void>;
  /** Overwrites and removes; a ring that is not there is destroyed already. */
  destroy(userId: string): Promise<void>;
  /** Ids of all users that have a ring, in order. */
  userIds(): Promise<readonly string[]>;
  /** Whether there is any ring. */
  isEmpty(): Promise<boolean>;
  /** Does the work while no other process replaces or destroys a ring in its own `exclusively`: a ring that was read
   *  before it was destroyed must not be written back. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
}

/** Key rings in a folder, which processes may share. */
export function keyFiles(keysDir: string): KeyStore {
  const root = join(keysDir, FOLDER);
  const pathOf = (userId: string) => {
    if (!UUID.test(userId)) throw new Error(`must hold: ${JSON.stringify(userId)} is a user's id`);
    // a folder per two digits, since long listings are slow on shared file systems
    return join(root, userId.slice(0, 2), `${userId}.json`);
  };
  return {
    read: async (userId) => {
      const text = await readFile(pathOf(userId), 'utf8').catch(nullIfMissing);
      return text === null ? null : (JSON.parse(text) as KeyRing);
    },
    create: (userId, ring) => createSecretFile(pathOf(userId), JSON.stringify(ring)),
    replace: (userId, ring) => replaceSecretFile(pathOf(userId), JSON.stringify(ring)),
    destroy: (userId) => destroy(pathOf(userId)),
    userIds: () => listIds(root),
    isEmpty: () => isEmpty(root),
    exclusively: async (work) =>
      holding(await waitForFileLock(join(keysDir, LOCK_FILE), systemClock), work),
  };
}

/** Overwritten first, as far as the file system lets one: copying ones and solid-state disks may keep old blocks. Under
 *  another name, so that nobody reads half of it; what killed processes have left goes as well. */
async function destroy(path: string): Promise<void> {
  const doomed = `${path}.doomed`;
  await rename(path, doomed).catch(nullIfMissing);
  for (const one of [doomed, ...(await leftoversOf(path))]) await overwrite(one);
  await sync(dirname(path)).catch(nullIfMissing);
}

async function overwrite(path: string): Promise<void> {
  const file = await stat(path).catch(nullIfMissing);
  if (file === null) return;
  const handle = await open(path, 'r+');
  try {
    await handle.write(randomBytes(file.size), 0, file.size, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rm(path);
}

async function isEmpty(root: string): Promise<boolean> {
  for (const folder of await foldersOf(root)) {
    if ((await readdir(join(root, folder))).length > 0) return false;
  }
  return true;
}

async function foldersOf(root: string): Promise<readonly string[]> {
  return (await readdir(root).catch(nullIfMissing)) ?? [];
}

async function listIds(root: string): Promise<readonly string[]> {
  const folders = await foldersOf(root);
  const names = await Promise.all(folders.map((folder) => readdir(join(root, folder))));
  return names
    .flat()
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}
