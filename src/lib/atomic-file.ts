// Files that are either there and whole, or not there: written beside their place, synced, then renamed into it.

import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { nullIfMissing } from './null-if-missing.ts';

/** The end of a file's name that is not written yet. */
const TEMPORARY = '.tmp';

/** Makes a file at `path` from what `make` writes at the path it is given; nothing is left behind when `make` throws. */
export async function makeFileAtomically(
  path: string,
  make: (temporaryPath: string) => Promise<void>,
): Promise<void> {
  const temporaryPath = temporaryPathOf(path);
  try {
    await make(temporaryPath);
    await sync(temporaryPath);
    await rename(temporaryPath, path);
  } catch (error) {
    await rm(temporaryPath, { force: true });
    throw error;
  }
  await sync(dirname(path));
}

/** Replaces the file at `path` by these bytes, or leaves it as it was. */
export function writeFileAtomically(path: string, content: string | Uint8Array): Promise<void> {
  return makeFileAtomically(path, (temporaryPath) => writeFile(temporaryPath, content));
}

/** What writers of the file who were killed have left beside it. */
export async function leftoversOf(path: string): Promise<readonly string[]> {
  const names = (await readdir(dirname(path)).catch(nullIfMissing)) ?? [];
  const isLeft = (name: string) =>
    name.startsWith(`${basename(path)}.`) && name.endsWith(TEMPORARY);
  return names.filter(isLeft).map((name) => join(dirname(path), name));
}

/** Where a file is written before it is put in its place. */
export function temporaryPathOf(path: string): string {
  return `${path}.${randomUUID()}${TEMPORARY}`;
}

/** Waits until the file or folder is on the disk, so that a rename after it cannot outlive its content. */
export async function sync(path: string): Promise<void> {
  // Windows opens no folder for syncing; its journal keeps the order of renames by itself
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (process.platform === 'win32') return null;
    throw error;
  });
  await handle?.sync();
  await handle?.close();
}
