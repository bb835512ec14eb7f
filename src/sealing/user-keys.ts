// What one user's keys can do: seal and open values, name what must be found again without showing it, and give the keys of
// files. Pure once the keys are unwrapped.

import { createHmac } from 'node:crypto';
import type { Json } from '../lib/canonical-json.ts';
import { deriveKey, openBytes, sealBytes, UnsealError } from './seal.ts';
import type { FileKey } from './sealed-file.ts';

/** A data key, unwrapped. */
export interface DataKey {
  readonly generation: number;
  readonly key: Uint8Array;
}

/** The keys of one user. A place is what a value belongs to; it must be the same to open as it was to seal. */
export interface UserKeys {
  /** What seals now. */
  readonly generation: number;
  seal(place: string, value: Json): Buffer;
  /** Throws UnsealError. */
  open(place: string, sealed: Uint8Array): Json;
  /** A keyed hash (HMAC-SHA-256, hex): equal for equal hashes of this user, and of no use to who lacks the key. */
  tag(hash: string): string;
  /** The keys of files; the newest first: it seals. */
  readonly fileKeys: readonly FileKey[];
}

const GENERATION_BYTES = 4;

/** The generation that sealed a value. */
function generationOfValue(sealed: Uint8Array): number {
  return Buffer.from(sealed.subarray(0, GENERATION_BYTES)).readUInt32BE();
}

/** Keys that were unwrapped; the newest data key comes first. */
export function userKeys(
  userId: string,
  { hashKey, dataKeys }: { readonly hashKey: Uint8Array; readonly dataKeys: readonly DataKey[] },
): UserKeys {
  const [newest] = dataKeys;
  if (newest === undefined) throw new Error('must hold: a user has a data key');
  const derived = new Map(
    dataKeys.map(({ generation, key }) => [
      generation,
      { value: deriveKey(key, 'attune values v1'), file: deriveKey(key, 'attune files v1') },
    ]),
  );
  const of = (wanted: number) => {
    const found = derived.get(wanted);
    if (found === undefined) throw new UnsealError(`data key ${wanted} is not there any more`);
    return found;
  };
  const header = Buffer.alloc(GENERATION_BYTES);
  header.writeUInt32BE(newest.generation);
  const placeOf = (place: string) => `${userId} ${place}`;
  return {
    generation: newest.generation,
    seal: (place, value) => {
      const plain = Buffer.from(JSON.stringify(value));
      return sealBytes(of(newest.generation).value, placeOf(place), plain, header);
    },
    open: (place, sealed) => {
      const { value } = of(generationOfValue(sealed));
      const plain = openBytes(value, placeOf(place), sealed.subarray(GENERATION_BYTES));
      return JSON.parse(plain.toString()) as Json;
    },
    tag: (hash) => createHmac('sha256', hashKey).update(hash).digest('hex'),
    fileKeys: dataKeys.map(({ generation }) => ({ generation, key: of(generation).file })),
  };
}
