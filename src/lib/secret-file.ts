// Files with keys: nobody else's to read, whole or not there, and with nothing beside them of what they held before.

import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { leftoversOf, makeFileAtomically, sync, temporaryPathOf } from './atomic-file.ts';

const OWN = { mode: 0o600 };

/** Makes a file with this text unless there is one. Of two processes that do so at once the second keeps what the first one
 *  made. */
export async function createSecretFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporaryPath = temporaryPathOf(path);
  await writeFile(temporaryPath, text, OWN);
  try {
    await sync(temporaryPath);
    await link(temporaryPath, path);
    await sync(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(temporaryPath, { force: true });
  }
}

/** Puts the text in place of the file's. What killed writers have left of it goes: older keys are in there. Two at once must not
 *  do so. */
export async function replaceSecretFile(path: string, text: string): Promise<void> {
  await makeFileAtomically(path, (temporaryPath) => writeFile(temporaryPath, text, OWN));
  for (const left of await leftoversOf(path)) await rm(left, { force: true });
}
