// New keys in place of old ones, while servers run. Each rotation can be killed anywhere: called again, it goes on.

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import type { Clock } from '../lib/clock.ts';
import { holding, tryFileLock } from '../lib/file-lock.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { StartError } from '../lib/start-error.ts';
import { addMasterKey } from '../sealing/master-key-file.ts';
import type { MasterKeys } from '../sealing/master-keys.ts';
import { KEY_MEMORY_MS, type Vault } from '../sealing/vault.ts';
import { type ResealDeps, resealUser } from './reseal.ts';

/** Some more than processes believe their keys, and then wait to write what they have sealed (accept_push: 10 s). */
const UNTIL_ALL_KNOW_MS = KEY_MEMORY_MS + 15_000;

/** What a rotation of data keys has begun with. */
const ROTATION_FILE = 'data-key-rotation.json';
const LOCK_FILE = 'rotation.lock';

/** Wraps all users' keys with the current master key. Where master keys are in the keys folder, a new one is made first,
 *  unless an earlier rotation was not finished; the one before it stays until the next rotation. Returns the id of the
 *  current key and how many users' keys were wrapped anew. Throws StartError while another rotation goes on. */
export function rotateMasterKeys(
  { vault, masterKeys }: { readonly vault: Vault; readonly masterKeys: MasterKeys },
  /** Null: master keys are made elsewhere. */
  keysDir: string | null,
): Promise<{ readonly masterKeyId: string; readonly users: number }> {
  const wrapAll = async () => {
    let users = 0;
    for (const userId of await vault.userIds()) if (await vault.rewrap(userId)) users += 1;
    return { masterKeyId: await masterKeys.currentId(), users };
  };
  if (keysDir === null) return wrapAll();
  return alone(keysDir, async () => {
    const current = await masterKeys.currentId();
    const inUse = await vault.masterKeysInUse();
    const isUnfinished = [...inUse].some((id) => id !== current);
    if (!isUnfinished) await addMasterKey(keysDir, (id) => id === current);
    return wrapAll();
  });
}

/** Does the work, or throws StartError where another process rotates keys of this folder: one would drop the master key that
 *  the other has just wrapped with, or seal with a data key that not all processes know yet. */
async function alone<T>(keysDir: string, work: () => Promise<T>): Promise<T> {
  const lock = await tryFileLock(join(keysDir, LOCK_FILE));
  if (lock === null)
    throw new StartError(`Another rotation of the keys in ${keysDir} is under way: wait for it.`);
  return holding(lock, work);
}

/** What a rotation of data keys works with. */
export interface RotationDeps extends ResealDeps {
  readonly vault: Vault;
  readonly keysDir: string;
  readonly clock: Clock;
}

/** What a rotation of data keys has sealed anew. */
interface DataRotation {
  readonly users: number;
  readonly rows: number;
  readonly adapters: number;
}

/** Gives every user a new data key, seals all that is theirs with it and destroys the older ones. Takes two minutes and
 *  more: every process must know a key before another one seals with it. Throws StartError while another rotation goes on. */
export function rotateDataKeys(deps: RotationDeps): Promise<DataRotation> {
  return alone(deps.keysDir, () => rotateAlone(deps));
}

async function rotateAlone(deps: RotationDeps): Promise<DataRotation> {
  const { vault, clock } = deps;
  const path = join(deps.keysDir, ROTATION_FILE);
  const beganAt = await beginAt(path, clock.now());
  const userIds = await vault.userIds();
  for (const userId of userIds) await vault.addGeneration(userId, beganAt);
  await clock.sleep(UNTIL_ALL_KNOW_MS);
  for (const userId of userIds) await vault.useNewest(userId);
  await clock.sleep(UNTIL_ALL_KNOW_MS);
  const sum = { users: 0, rows: 0, adapters: 0 };
  for (const userId of userIds) {
    // who was erased meanwhile has nothing to seal
    if (!(await vault.useNewest(userId))) continue;
    const { rows, adapters } = await resealUser(deps, userId);
    await vault.dropOldGenerations(userId);
    sum.users += 1;
    sum.rows += rows;
    sum.adapters += adapters;
  }
  await rm(path);
  return sum;
}

/** When the rotation began, which may have been before a kill. */
async function beginAt(path: string, now: number): Promise<number> {
  const text = await readFile(path, 'utf8').catch(nullIfMissing);
  if (text !== null) return (JSON.parse(text) as { readonly beganAt: number }).beganAt;
  await writeFileAtomically(path, JSON.stringify({ beganAt: now }));
  return now;
}
