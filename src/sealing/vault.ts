// The users' keys, ready for use: unwrapped, kept in memory for a short while, made with the user and destroyed with them.

import { createHash, randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type Generation, type KeyRing, type KeyStore, keyFiles } from './key-files.ts';
import { fileMasterKeys } from './master-key-file.ts';
import type { MasterKeys, WrappedKey } from './master-keys.ts';
import { KEY_BYTES } from './seal.ts';
import { type UserKeys, userKeys } from './user-keys.ts';

/** How long keys are believed: after a key was destroyed or replaced by another process, this one may use it so long. */
const KEY_MEMORY_MS = 60_000;
/** Users whose keys are in memory, about 1 KB each. */
const MAX_REMEMBERED = 10_000;

/** Opens and closes what belongs to users. */
export interface Vault {
  /** Makes the keys of a new user; does nothing where there are some. */
  create(userId: string): Promise<void>;
  /** Throws when the user has no keys: they were destroyed, or the keys folder is not the database's. */
  keysOf(userId: string): Promise<UserKeys>;
  /** Destroys all keys of a user. From then on nothing that they sealed can be read, in no copy. Returns the SHA-256 of
   *  the newest data key, which says which one it was; null when there was none. */
  destroy(userId: string): Promise<string | null>;
  /** Seals with a new data key from now on; returns its generation. */
  addGeneration(userId: string): Promise<number>;
  /** Destroys all data keys but the newest. */
  dropOldGenerations(userId: string): Promise<void>;
  /** The user's generations, newest first, and when each was made. */
  generations(userId: string): Promise<readonly Pick<Generation, 'number' | 'madeAt'>[]>;
  /** Wraps the user's keys with the current master key; false when they are. */
  rewrap(userId: string): Promise<boolean>;
  /** Everybody who has keys. */
  userIds(): Promise<readonly string[]>;
}

/** What a vault stands on. */
export interface VaultParts {
  readonly masterKeys: MasterKeys;
  readonly store: KeyStore;
  readonly clock?: Clock;
}

/** Opens a vault; nothing is read before it is needed. */
function openVault({ masterKeys, store, clock = systemClock }: VaultParts): Vault {
  const remembered = new Map<
    string,
    { readonly keys: Promise<UserKeys>; readonly until: number }
  >();
  const forget = (userId: string) => remembered.delete(userId);
  const load = async (userId: string) =>
    unwrapRing(masterKeys, userId, await ringOf(store, userId));
  const change = async (userId: string, to: (ring: KeyRing) => Promise<KeyRing>) => {
    await store.replace(userId, await to(await ringOf(store, userId)));
    forget(userId);
  };
  return {
    create: async (userId) => {
      if ((await store.read(userId)) === null)
        await store.create(userId, await newRing(masterKeys, userId, clock.now()));
    },
    keysOf: (userId) => {
      const known = remembered.get(userId);
      if (known !== undefined && known.until > clock.now()) return known.keys;
      const keys = load(userId);
      forget(userId);
      const [oldest] = remembered.keys();
      if (remembered.size >= MAX_REMEMBERED && oldest !== undefined) forget(oldest);
      remembered.set(userId, { keys, until: clock.now() + KEY_MEMORY_MS });
      keys.catch(() => forget(userId));
      return keys;
    },
    destroy: async (userId) => {
      const ring = await store.read(userId);
      const [newest] = ring?.generations ?? [];
      const key = newest && (await masterKeys.unwrap(newest.key, contextOf(userId, newest.number)));
      await store.destroy(userId);
      forget(userId);
      return key === undefined ? null : createHash('sha256').update(key).digest('hex');
    },
    addGeneration: async (userId) => {
      let number = 0;
      await change(userId, async (ring) => {
        number = Math.max(...ring.generations.map((one) => one.number)) + 1;
        const added = await newGeneration(masterKeys, userId, { number, madeAt: clock.now() });
        return { ...ring, generations: [added, ...ring.generations] };
      });
      return number;
    },
    dropOldGenerations: (userId) =>
      change(userId, async (ring) => ({ ...ring, generations: ring.generations.slice(0, 1) })),
    generations: async (userId) =>
      (await ringOf(store, userId)).generations.map(({ number, madeAt }) => ({ number, madeAt })),
    rewrap: async (userId) => {
      const currentId = await masterKeys.currentId();
      const ring = await ringOf(store, userId);
      const wrapped = [ring.hashKey, ...ring.generations.map(({ key }) => key)];
      if (wrapped.every(({ masterKeyId }) => masterKeyId === currentId)) return false;
      await change(userId, (old) => rewrapRing(masterKeys, userId, old));
      return true;
    },
    userIds: () => store.userIds(),
  };
}

async function ringOf(store: KeyStore, userId: string): Promise<KeyRing> {
  const ring = await store.read(userId);
  if (ring !== null) return ring;
  throw new Error(
    `user ${userId} has no keys: they were destroyed, or the keys folder is another's`,
  );
}

/** The hash key counts as generation 0. */
const HASH_KEY = 0;

function contextOf(userId: string, generation: number): string {
  return `${userId} ${generation}`;
}

async function newRing(masterKeys: MasterKeys, userId: string, madeAt: number): Promise<KeyRing> {
  const hashKey = await masterKeys.wrap(randomBytes(KEY_BYTES), contextOf(userId, HASH_KEY));
  const first = await newGeneration(masterKeys, userId, { number: 1, madeAt });
  return { hashKey, generations: [first] };
}

async function newGeneration(
  masterKeys: MasterKeys,
  userId: string,
  generation: Pick<Generation, 'number' | 'madeAt'>,
): Promise<Generation> {
  const context = contextOf(userId, generation.number);
  return { ...generation, key: await masterKeys.wrap(randomBytes(KEY_BYTES), context) };
}

async function unwrapRing(
  masterKeys: MasterKeys,
  userId: string,
  ring: KeyRing,
): Promise<UserKeys> {
  const unwrap = (key: WrappedKey, generation: number) =>
    masterKeys.unwrap(key, contextOf(userId, generation));
  const dataKeys = await Promise.all(
    ring.generations.map(async ({ number, key }) => ({
      generation: number,
      key: await unwrap(key, number),
    })),
  );
  return userKeys(userId, { hashKey: await unwrap(ring.hashKey, HASH_KEY), dataKeys });
}

async function rewrapRing(masterKeys: MasterKeys, userId: string, ring: KeyRing): Promise<KeyRing> {
  const rewrap = async (key: WrappedKey, generation: number) => {
    const context = contextOf(userId, generation);
    return masterKeys.wrap(await masterKeys.unwrap(key, context), context);
  };
  const generations = await Promise.all(
    ring.generations.map(async (one) => ({ ...one, key: await rewrap(one.key, one.number) })),
  );
  return { hashKey: await rewrap(ring.hashKey, HASH_KEY), generations };
}

/** A vault whose keys are all in one folder. */
export function folderVault(keysDir: string): Vault {
  const store = keyFiles(keysDir);
  return openVault({ masterKeys: fileMasterKeys(keysDir, store.isEmpty), store });
}
