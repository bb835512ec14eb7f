import { filesInUse } from './shelf.ts';
import type { SyncParts } from './sync-parts.ts';

/** Deletes the bytes that nothing uses: no base, no adapter, no training. */
export async function removeUnused(parts: SyncParts): Promise<void> {
  const { shelf, base, modes, trained } = parts;
  const { files } = parts.storage;
  const used = [
    ...filesInUse(await shelf.read()),
    ...(await base.files()),
    ...(await modes.trainingFiles()),
  ];
  const names = new Set([
    ...used.flatMap(({ sha256 }) => [sha256, `${sha256}.part`]),
    ...(await trained.files()),
  ]);
  for (const name of await files.list()) if (!names.has(name)) await files.remove(name);
}
