// Files that are either there and whole, or not there: written beside their place, synced, then renamed into it.

import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
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

/** Makes a file with these bytes unless there is one; returns whether it did. Of two processes that do so at once the second
 *  keeps what the first one made. */
export async function createFileAtomically(
  path: string,
  content: string,
  options: { readonly mode: number },
): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true });
  const temporaryPath = temporaryPathOf(path);
  await writeFile(temporaryPath, content, options);
  try {
    await sync(temporaryPath);
    await link(temporaryPath, path);
    await sync(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporaryPath, { force: true });
  }
}

/** What writers of the file who were killed have left beside it: secrets, where the file has some. */
export async function leftoversOf(path: string): Promise<readonly string[]> {
  const names = (await readdir(dirname(path)).catch(nullIfMissing)) ?? [];
  const isLeft = (name: string) =>
    name.startsWith(`${basename(path)}.`) && name.endsWith(TEMPORARY);
  return names.filter(isLeft).map((name) => join(dirname(path), name));
}

function temporaryPathOf(path: string): string {
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
