// Master keys wrap the users' data keys and nothing else. Where they are kept is behind one interface: a file of the keys
// folder, the environment, or a key management service of yours.

import { randomBytes } from 'node:crypto';
import { KEY_BYTES, openBytes, sealBytes } from './seal.ts';

/** A data key as it may lie on a disk. */
export interface WrappedKey {
  /** Which master key unwraps it. */
  readonly masterKeyId: string;
  /** base64. */
  readonly bytes: string;
}

/** Wraps data keys. `context` names what a key is for; unwrapping must fail under another one (the associated data of an
 *  AEAD, the encryption context of a key management service). */
export interface MasterKeys {
  /** Whether it may unwrap what the key of that id wrapped. */
  knows(id: string): Promise<boolean>;
  /** The id of the key that `wrap` uses now; others may unwrap as long as something is wrapped with them. */
  currentId(): Promise<string>;
  wrap(key: Uint8Array, context: string): Promise<WrappedKey>;
  /** Throws when it has no key of that id, or when the bytes are not what that key wrapped for this context. */
  unwrap(wrapped: WrappedKey, context: string): Promise<Uint8Array>;
}

/** A master key that this process can see. */
export interface MasterKey {
  readonly id: string;
  /** base64 of 32 bytes. */
  readonly key: string;
}

/** A new master key, named by the day and some chance. */
export function makeMasterKey(now: Date): MasterKey {
  const id = `${now.toISOString().slice(0, 10)}-${randomBytes(4).toString('hex')}`;
  return { id, key: randomBytes(KEY_BYTES).toString('base64') };
}

/** Master keys from a list that is read for each use; the first one wraps. */
export function listedMasterKeys(
  read: () => Promise<readonly MasterKey[]>,
  where: string,
): MasterKeys {
  const find = async (id: string | null) => {
    const keys = await read();
    const found = id === null ? keys[0] : keys.find((candidate) => candidate.id === id);
    if (found !== undefined) return { id: found.id, bytes: Buffer.from(found.key, 'base64') };
    throw new Error(`there is no master key ${id ?? ''} in ${where}: bring the lost one back`);
  };
  return {
    knows: async (id) => (await read()).some((key) => key.id === id),
    currentId: async () => (await find(null)).id,
    wrap: async (key, context) => {
      const { id, bytes } = await find(null);
      const wrapped = sealBytes(bytes, placeOf(id, context), key);
      return { masterKeyId: id, bytes: wrapped.toString('base64') };
    },
    unwrap: async ({ masterKeyId, bytes: wrapped }, context) => {
      const { id, bytes } = await find(masterKeyId);
      return openBytes(bytes, placeOf(id, context), Buffer.from(wrapped, 'base64'));
    },
  };
}

/** Wraps with the first of several sources; what another of them wrapped before opens still. */
export function firstOfMasterKeys(current: MasterKeys, others: readonly MasterKeys[]): MasterKeys {
  return {
    ...current,
    unwrap: async (wrapped, context) => {
      for (const source of others)
        if (await source.knows(wrapped.masterKeyId)) return source.unwrap(wrapped, context);
      return current.unwrap(wrapped, context);
    },
  };
}

/** Parses `id:base64,id:base64`; undefined unless each is 32 bytes under an id of its own. */
export function parseMasterKeys(text: string): readonly MasterKey[] | undefined {
  const keys = text.split(',').map((part) => {
    const [, id = '', key = ''] = /^\s*([\w.-]{1,64}):([A-Za-z0-9+/]{43}=)\s*$/.exec(part) ?? [];
    return { id, key };
  });
  const isWhole = keys.every(({ id }) => id !== '');
  const isDistinct = new Set(keys.map(({ id }) => id)).size === keys.length;
  return isWhole && isDistinct ? keys : undefined;
}

function placeOf(id: string, context: string): string {
  return `attune master key ${id} ${context}`;
}
