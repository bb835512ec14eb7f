// What the SDK needs of a device's disk: a small key-value store for its state and flat files for downloads.
// Each platform implements it (Node: node-storage.ts); one contract suite in the tests runs over all of them.

import type { Json } from '../../lib/canonical-json.ts';

/** A key with its new value; undefined removes it. */
export type Write = readonly [key: string, value: Json | undefined];

/** A device's durable state. At most one client may have it open. */
export interface DeviceStorage {
  /** The value under the key; undefined when there is none. */
  get(key: string): Promise<Json | undefined>;
  /** Every key with this prefix and its value, in code-unit order of the keys. */
  list(prefix: string): Promise<readonly (readonly [key: string, value: Json])[]>;
  /** Makes all of the writes or none of them; they are on the disk when it resolves. */
  write(writes: readonly Write[]): Promise<void>;
  /** Takes off the disk what writes have removed or replaced and the storage has only marked as gone; does nothing where
   *  nothing was. Rejects with QuotaError when there is no room for that, and everything is as it was. */
  compact(): Promise<void>;
  readonly files: DeviceFiles;
  /** Releases the storage. */
  close(): Promise<void>;
}

/** Flat files by name; names are hashes with an optional ending. */
export interface DeviceFiles {
  /** Bytes in the file; null when there is none. */
  size(name: string): Promise<number | null>;
  /** Adds bytes at the end, making the file first where needed. A crash may leave some of them. Rejects with
   *  QuotaError when the disk is full. */
  append(name: string, bytes: Uint8Array): Promise<void>;
  /** Makes the bytes the file that their SHA-256 names, whole or not at all; false, and nothing is kept, when it is another
   *  one. Rejects as append does. */
  putNamed(sha256: string, bytes: Uint8Array): Promise<boolean>;
  read(name: string): Promise<Uint8Array>;
  /** Lower-case hex SHA-256 of the content. */
  sha256(name: string): Promise<string>;
  /** Puts the file, whole and on the disk, under another name in one step. */
  rename(from: string, to: string): Promise<void>;
  /** Removes the file if it is there. */
  remove(name: string): Promise<void>;
  list(): Promise<readonly string[]>;
  /** Where the file lies, on platforms whose onnxruntime opens files by itself. All files lie in one folder. */
  path?(name: string): string;
}

/** The device has no room left. */
export class QuotaError extends Error {
  override readonly name = 'QuotaError';
}
