// Whose a storage is. What a device keeps is one user's: nobody else's copies are shown, sent or left on the disk.

import { removeUnused } from './remove-unused.ts';
import type { SyncParts } from './sync-parts.ts';

const OWNER = 'user';

/** What is no user's: the base, the server's keys, the modes as it describes them, and the device's name. */
const OF_NOBODY = ['base', 'deviceId', 'keys', 'modes'];

/** The server's name of the user; null before the device has met it. */
export async function ownerOf({ storage }: SyncParts): Promise<string | null> {
  const owner = await storage.get(OWNER);
  return typeof owner === 'string' ? owner : null;
}

/** Makes the storage the user's. What is there of another one goes before anything is sent: the server has erased that user,
 *  or the app has signed somebody else in. */
export async function belongTo(parts: SyncParts, userId: string): Promise<void> {
  const owner = await ownerOf(parts);
  if (owner === userId) return;
  // the first time: whatever is there was made for this user
  if (owner === null) await parts.storage.write([[OWNER, userId]]);
  else await wipe(parts, { userId, kept: OF_NOBODY });
}

/** Removes all that is a user's from a device that the server has turned away, and the name that it has turned away. */
export function disown(parts: SyncParts): Promise<void> {
  return wipe(parts, { kept: OF_NOBODY.filter((key) => key !== 'deviceId') });
}

/** Keeps what was begun for `owner` (null: nobody was known then), or drops it when the storage is not theirs any more. */
export async function keepFor(
  parts: SyncParts,
  owner: string | null,
  keep: () => Promise<void>,
): Promise<void> {
  // no wipe comes between the look and the writing
  await parts.outbox.exclusively(async () => {
    if (owner === null || (await ownerOf(parts)) === owner) await keep();
  });
}

/** Removes state and files, the state in one step: a crash after it leaves bytes for the next pass. What is under way
 *  meanwhile finds nothing of its own any more, and keeps nothing. */
async function wipe(
  parts: SyncParts,
  { userId, kept }: { readonly userId?: string; readonly kept: readonly string[] },
): Promise<void> {
  const { learnt, outbox, shelf, storage } = parts;
  const clear = async () => {
    const keys = (await storage.list('')).map(([key]) => key);
    const gone = keys.filter((key) => !kept.includes(key) && key !== OWNER);
    await storage.write([...gone.map((key) => [key, undefined] as const), [OWNER, userId]]);
  };
  // in the order in which deletions take them
  await learnt.exclusively(() => outbox.exclusively(() => shelf.exclusively(clear)));
  await removeUnused(parts);
}
