import { QuotaError } from '../storage/storage.ts';
import { filesInUse } from './shelf.ts';
import type { SyncParts } from './sync-parts.ts';

/** Takes off the disk what nothing uses: files of no base, no adapter and no training, and what the state no longer has. */
export async function removeUnused(parts: SyncParts): Promise<void> {
  // a training that ends keeps its file and says so in one turn
  await parts.learnt.exclusively(() => removeFiles(parts));
  try {
    await parts.storage.compact();
  } catch (error) {
    // a full disk has no room for the shorter copy: the next call tries again
    if (!(error instanceof QuotaError)) throw error;
  }
}

async function removeFiles({ shelf, base, modes, trained, storage }: SyncParts): Promise<void> {
  const used = [
    ...filesInUse(await shelf.read()),
    ...(await base.files()),
    ...(await modes.trainingFiles()),
  ];
  const names = new Set([
    ...used.flatMap(({ sha256 }) => [sha256, `${sha256}.part`]),
    ...(await trained.files()),
  ]);
  for (const name of await storage.files.list())
    if (!names.has(name)) await storage.files.remove(name);
}
