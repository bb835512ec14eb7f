// The bytes of an upload on the disk: sealed under a key of its user's, as the adapter will be that is made of them.

import { basename, dirname } from 'node:path';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import {
  bytesFor,
  nullIfUnread,
  openFileIn,
  type PrivateFolder,
  readFileIn,
} from '../sealing/private-folder.ts';
import type { UserKeys } from '../sealing/user-keys.ts';

type FileKeys = Pick<UserKeys, 'fileKeys'>;

/** All that has come so far. */
export function readUploadFile(path: string, keys: FileKeys): Promise<Buffer> {
  return readFileIn(folderOf(path, keys), basename(path));
}

/** Puts the bytes in place of what was there, at once. */
export function writeUploadFile(path: string, keys: FileKeys, bytes: Uint8Array): Promise<void> {
  return writeFileAtomically(path, bytesFor(folderOf(path, keys), basename(path), bytes));
}

/** How many bytes have come so far; null: there is no file, or none that opens since the keys were changed. */
export async function sizeOfUploadFile(path: string, keys: FileKeys): Promise<number | null> {
  const file = await openFileIn(folderOf(path, keys), basename(path)).catch(nullIfUnread);
  await file?.close();
  return file?.plainBytes ?? null;
}

function folderOf(path: string, { fileKeys }: FileKeys): PrivateFolder {
  return { dir: dirname(path), seal: { place: 'upload', keys: fileKeys } };
}
