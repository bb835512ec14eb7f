// The users' keys, ready for use: unwrapped, kept in memory for a short while, made with the user and destroyed with them.

import { createHash, randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type Generation, type KeyRing, type KeyStore, keyFiles } from './key-files.ts';
import { type KmsOptions, kmsMasterKeys } from './kms.ts';
import { fileMasterKeys } from './master-key-file.ts';
import {
  firstOfMasterKeys,
  listedMasterKeys,
  type MasterKey,
  type MasterKeys,
  type WrappedKey,
} from './master-keys.ts';
import { KEY_BYTES } from './seal.ts';
import { type UserKeys, userKeys } from './user-keys.ts';

/** How long keys are believed: after a key was destroyed or replaced by another process, this one may use it so long. */
export const KEY_MEMORY_MS = 60_000;
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
  /** Adds a data key that opens and does not seal yet, unless the newest one was made at this time or later. False, as
   *  for the next three, when the user has no keys: who was erased needs none. */
  addGeneration(userId: string, madeAt: number): Promise<boolean>;
  /** Seals with the newest data key from now on. Other processes must know it by then. */
  useNewest(userId: string): Promise<boolean>;
  /** Destroys all data keys but the newest. */
  dropOldGenerations(userId: string): Promise<boolean>;
  /** Wraps the user's keys with the current master key; false also when they are. */
  rewrap(userId: string): Promise<boolean>;
  /** The master keys that some user's keys are wrapped with. */
  masterKeysInUse(): Promise<ReadonlySet<string>>;
  /** Forgets what was unwrapped: another process has changed or destroyed the user's keys. */
  forget(userId: string): void;
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
  const forget = (userId: string) => void remembered.delete(userId);
  const load = async (userId: string) =>
    unwrapRing(masterKeys, userId, await ringOf(store, userId));
  const change = (userId: string, to: (ring: KeyRing) => Promise<KeyRing | null>) =>
    store.exclusively(async () => {
      const ring = await store.read(userId);
      const changed = ring && (await to(ring));
      if (changed === null) return false;
      await store.replace(userId, changed);
      forget(userId);
      return true;
    });
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
    destroy: (userId) =>
      store.exclusively(async () => {
        const ring = await store.read(userId);
        const [newest] = ring?.generations ?? [];
        const key =
          newest && (await masterKeys.unwrap(newest.key, contextOf(userId, newest.number)));
        await store.destroy(userId);
        forget(userId);
        return key === undefined ? null : createHash('sha256').update(key).digest('hex');
      }),
    addGeneration: (userId, madeAt) =>
      change(userId, async (ring) => {
        if (ring.generations.some((one) => one.madeAt >= madeAt)) return null;
        const number = Math.max(...ring.generations.map((one) => one.number)) + 1;
        const added = await newGeneration(masterKeys, userId, { number, madeAt });
        return { ...ring, generations: [...ring.generations, added] };
      }),
    useNewest: (userId) =>
      change(userId, async (ring) => ({
        ...ring,
        generations: ring.generations.toSorted((a, b) => b.number - a.number),
      })),
    dropOldGenerations: (userId) =>
      change(userId, async (ring) => ({ ...ring, generations: ring.generations.slice(0, 1) })),
    rewrap: async (userId) => {
      const currentId = await masterKeys.currentId();
      return change(userId, async (ring) =>
        wrappedIn(ring).every(({ masterKeyId }) => masterKeyId === currentId)
          ? null
          : rewrapRing(masterKeys, userId, ring),
      );
    },
    masterKeysInUse: () => masterKeysInUse(store),
    forget,
    userIds: () => store.userIds(),
  };
}

async function masterKeysInUse(store: KeyStore): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const userId of await store.userIds()) {
    const ring = await store.read(userId);
    if (ring !== null) for (const { masterKeyId } of wrappedIn(ring)) ids.add(masterKeyId);
  }
  return ids;
}

async function ringOf(store: KeyStore, userId: string): Promise<KeyRing> {
  const ring = await store.read(userId);
  if (ring !== null) return ring;
  throw new Error(
    `user ${userId} has no keys: they were destroyed, or the keys folder is another's`,
  );
}

function wrappedIn({ hashKey, generations }: KeyRing): readonly WrappedKey[] {
  return [hashKey, ...generations.map(({ key }) => key)];
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

/** Where the keys of a deployment are. */
export interface VaultSettings {
  /** The folder of the users' keys, and of the master keys where nobody else has them. */
  readonly keysDir: string;
  /** Master keys, the current one first. */
  readonly masterKeys?: readonly MasterKey[] | undefined;
  /** A key management service; it wraps even where there are master keys, which then open what is old. */
  readonly kms?: KmsOptions | undefined;
}

/** The vault of a deployment. */
export function vaultFrom(settings: VaultSettings): Vault {
  return openVault({ masterKeys: masterKeysOf(settings), store: keyFiles(settings.keysDir) });
}

/** The master keys of a deployment: the service's, the given ones, or those of the keys folder. */
export function masterKeysOf({ keysDir, masterKeys, kms }: VaultSettings): MasterKeys {
  const file = fileMasterKeys(keysDir, keyFiles(keysDir).isEmpty);
  const given =
    masterKeys && listedMasterKeys(() => Promise.resolve(masterKeys), 'ATTUNE_MASTER_KEYS');
  const sources = [given, file].filter((source) => source !== undefined);
  if (kms !== undefined) return firstOfMasterKeys(kmsMasterKeys(kms), sources);
  return given === undefined ? file : firstOfMasterKeys(given, [given, file]);
}

/** A vault whose keys are all in one folder. */
export function folderVault(keysDir: string): Vault {
  return vaultFrom({ keysDir });
}
