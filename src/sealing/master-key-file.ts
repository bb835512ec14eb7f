// Master keys in a file of the keys folder, the newest first. Read anew for each use, so a rotation needs no restart.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../lib/clock.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { createSecretFile, replaceSecretFile } from '../lib/secret-file.ts';
import { StartError } from '../lib/start-error.ts';
import { listedMasterKeys, type MasterKey, type MasterKeys, makeMasterKey } from './master-keys.ts';

const KEY_FILE = 'master-keys.json';

/** The master keys of a folder; the first one is made when it is first asked for and `mayStart` finds that nothing was
 *  wrapped yet. */
export function fileMasterKeys(keysDir: string, mayStart: () => Promise<boolean>): MasterKeys {
  const read = async () => {
    const keys = await readKeys(keysDir);
    if (keys.length > 0) return keys;
    await makeFirstKey(keysDir, mayStart);
    return readKeys(keysDir);
  };
  const made = listedMasterKeys(read, join(keysDir, KEY_FILE));
  // looking for a key makes none
  const knows = async (id: string) => (await readKeys(keysDir)).some((key) => key.id === id);
  return { ...made, knows };
}

/** Puts a new master key before the others, of which those in use stay; returns its id. Two at once must not do so. */
export async function addMasterKey(
  keysDir: string,
  isInUse: (id: string) => boolean,
): Promise<string> {
  const key = makeMasterKey(new Date(systemClock.now()));
  const keys = [key, ...(await readKeys(keysDir)).filter(({ id }) => isInUse(id))];
  await replaceSecretFile(join(keysDir, KEY_FILE), JSON.stringify(keys));
  return key.id;
}

/** Makes the first master key of a folder where there is none. Throws StartError where one is missing that data keys were
 *  wrapped with. */
async function makeFirstKey(keysDir: string, mayStart: () => Promise<boolean>): Promise<void> {
  const path = join(keysDir, KEY_FILE);
  if ((await readFile(path).catch(nullIfMissing)) !== null) return;
  if (!(await mayStart())) {
    const remedy = 'Bring it back from where you keep copies of your keys';
    throw new StartError(`${path} is gone, and nothing of the users can be read. ${remedy}.`);
  }
  const keys = [makeMasterKey(new Date(systemClock.now()))];
  await createSecretFile(path, JSON.stringify(keys));
}

async function readKeys(keysDir: string): Promise<readonly MasterKey[]> {
  const path = join(keysDir, KEY_FILE);
  const text = await readFile(path, 'utf8').catch(nullIfMissing);
  if (text === null) return [];
  try {
    return JSON.parse(text) as readonly MasterKey[];
  } catch (cause) {
    throw new Error(`${path} is damaged: bring a copy of it back`, { cause });
  }
}
