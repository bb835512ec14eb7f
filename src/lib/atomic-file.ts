// Files that are either there and whole, or not there: written beside their place, synced, then renamed into it.

import { randomUUID } from 'node:crypto';
import { open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a file at `path` from what `make` writes at the path it is given; nothing is left behind when `make` throws. */
export async function makeFileAtomically(
  path: string,
  make: (temporaryPath: string) => Promise<void>,
): Promise<void> {
  const temporaryPath = `${path}.${randomUUID()}.tmp`;
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
