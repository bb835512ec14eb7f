// Files that can be made again from a base at any time (graphs, 8-bit weights, transposed copies), kept beside its
// canonical files so that ONNX external data can point at either by name.

import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFileAtomically, writeFileAtomically } from '../../lib/atomic-file.ts';
import { systemClock } from '../../lib/clock.ts';
import { holding, waitForFileLock } from '../../lib/file-lock.ts';
import { nullIfMissing } from '../../lib/null-if-missing.ts';
import { sha256File } from '../../lib/sha256.ts';
import type { Base, BaseFile } from './base-package.ts';

/** The path of the derived file `<dir>/<name>`, which `make` writes at the path it is given if it is not there yet.
 *  Made once, also when several processes ask at the same time, and never seen half written; made again when its size is
 *  not what it was. Put a format version into the name ('decode-i8.v1.onnx'): a new one makes a new file. */
export async function derive(
  base: Base,
  name: string,
  make: (path: string) => Promise<void>,
): Promise<string> {
  const path = join(base.dir, name);
  if ((await derivedFile(base, name)) !== null) return path;
  const lock = await waitForFileLock(`${path}.lock`, systemClock);
  await holding(lock, async () => {
    if ((await derivedFile(base, name)) === null) await makeDerived(path, make);
  });
  return path;
}

/** The derived file as a device would download it; null when it was not made, or is not whole. */
export async function derivedFile(base: Base, name: string): Promise<BaseFile | null> {
  const path = join(base.dir, name);
  const record = await readFile(recordPath(path), 'utf8').catch(nullIfMissing);
  if (record === null) return null;
  const file: Omit<BaseFile, 'name'> = JSON.parse(record);
  const found = await stat(path).catch(nullIfMissing);
  return found?.size === file.sizeBytes ? { name, ...file } : null;
}

async function makeDerived(path: string, make: (path: string) => Promise<void>): Promise<void> {
  // the record comes last and goes first: as long as it is there, the file is whole
  await rm(recordPath(path), { force: true });
  await makeFileAtomically(path, make);
  const { size: sizeBytes } = await stat(path);
  const record = { sizeBytes, sha256: await sha256File(path) };
  await writeFileAtomically(recordPath(path), JSON.stringify(record));
}

function recordPath(path: string): string {
  return `${path}.json`;
}
