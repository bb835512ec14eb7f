// Files that all processes share by name, where they share no folder. Knows nothing of what is in them.

/** The place could not do what was asked: it says nothing of what was asked, which may do well later. */
export class BlobsFailed extends Error {
  override readonly name = 'BlobsFailed';
}

/** Where files are kept under names such as `adapters/1f/tensors`. A name has its file whole or not at all. */
export interface Blobs {
  /** Where it is, for people. */
  readonly label: string;
  /** Keeps a file under the name, in place of what was there. Throws BlobsFailed when it cannot be reached or refuses. */
  put(name: string, path: string): Promise<void>;
  /** Writes what is kept under the name into a file, synced to the disk; false when there is nothing. Throws
   *  BlobsFailed when it cannot be reached, and when what arrived is not what was sent. */
  fetch(name: string, path: string): Promise<boolean>;
  /** The names that begin so, in order. */
  list(prefix: string): Promise<readonly string[]>;
  /** Removes the name; nothing happens when there is nothing. */
  remove(name: string): Promise<void>;
  close(): void;
}
