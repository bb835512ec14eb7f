// Master keys in a file of the keys folder, the newest first. Read anew for each use, so a rotation needs no restart.

import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFileAtomically, sync } from '../lib/atomic-file.ts';
import { systemClock } from '../lib/clock.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { StartError } from '../lib/start-error.ts';
import { listedMasterKeys, type MasterKey, type MasterKeys, makeMasterKey } from './master-keys.ts';

const KEY_FILE = 'master-keys.json';

/** The master keys of a folder; the first one is made when it is first asked for and `mayStart` finds that nothing was
 *  wrapped yet. */
export function fileMasterKeys(keysDir: string, mayStart: () => Promise<boolean>): MasterKeys {
  const read = async () => {
    const keys = await readKeys(keysDir);
    if (keys.length > 0) return keys;
    await ensureMasterKeyFile(keysDir, mayStart);
    return readKeys(keysDir);
  };
  const made = listedMasterKeys(read, join(keysDir, KEY_FILE));
  // looking for a key makes none
  const knows = async (id: string) => (await readKeys(keysDir)).some((key) => key.id === id);
  return { ...made, knows };
}

/** Puts a new master key before the others, of which those in use stay; returns its id. */
export async function addMasterKey(
  keysDir: string,
  isInUse: (id: string) => boolean,
): Promise<string> {
  const key = makeMasterKey(new Date(systemClock.now()));
  const keys = [key, ...(await readKeys(keysDir)).filter(({ id }) => isInUse(id))];
  await makeFileAtomically(join(keysDir, KEY_FILE), (path) =>
    writeFile(path, JSON.stringify(keys), { mode: 0o600 }),
  );
  return key.id;
}

/** Makes the first master key of a folder where there is none; returns whether it did. Throws StartError where one is
 *  missing that data keys were wrapped with. */
async function ensureMasterKeyFile(
  keysDir: string,
  mayStart: () => Promise<boolean>,
): Promise<boolean> {
  const path = join(keysDir, KEY_FILE);
  if ((await readFile(path).catch(nullIfMissing)) !== null) return false;
  if (!(await mayStart())) {
    const remedy = 'Bring it back from where you keep copies of your keys';
    throw new StartError(`${path} is gone, and nothing of the users can be read. ${remedy}.`);
  }
  await mkdir(keysDir, { recursive: true });
  const temporaryPath = `${path}.${randomUUID()}.tmp`;
  await writeFile(temporaryPath, JSON.stringify([makeMasterKey(new Date(systemClock.now()))]), {
    mode: 0o600,
  });
  try {
    await sync(temporaryPath);
    // of two processes that are both the first, the second keeps what the first one made
    await link(temporaryPath, path);
    await sync(keysDir);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporaryPath);
  }
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
