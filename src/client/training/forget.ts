// What a deleted record takes with it on the device that learnt from it: the training that was made or is being made of it,
// and every adapter that this device has published since. The server does the same for what it trained.

import type { ChangeMessage } from '../../sync/protocol.ts';
import type { Write } from '../storage/storage.ts';
import { isHopeless } from '../sync/reports.ts';
import { without } from '../sync/shelf.ts';
import type { SyncParts } from '../sync/sync-parts.ts';
import { recordName } from './local-records.ts';

/** What is to be written with a deletion, and which adapters are out of use from then on. */
interface Forgetting {
  readonly writes: readonly Write[];
  readonly adapterIds: readonly string[];
}

/** What the deletions among the changes take with them. To be called, and its writes made, within learnt.exclusively. */
async function forgettingOf(
  { modes, learnt, trained }: SyncParts,
  changes: readonly ChangeMessage[],
): Promise<Forgetting> {
  const writes: Write[] = [];
  const adapterIds: string[] = [];
  const deleted = changes.filter(({ kind }) => kind === 'DELETE');
  for (const [mode, { definition }] of deleted.length === 0 ? [] : await modes.all()) {
    const { training } = definition;
    const names = deleted
      .filter(({ source }) => training?.sources.includes(source))
      .map(recordName);
    if (training === undefined || names.length === 0) continue;
    const held = await learnt.forgetting(mode, names);
    writes.push(...held.writes, ...(await trained.forgetting(mode, names)));
    adapterIds.push(...held.adapterIds);
    // records that the server has are deleted there, and take their adapters with them
    if (training.where === 'device')
      writes.push(...held.adapterIds.map((id) => learnt.withdrawing(id)));
  }
  return { writes, adapterIds };
}

/** Makes the writes of a deletion with `write`, and takes the adapters out of use. */
export async function forget(
  parts: SyncParts,
  changes: readonly ChangeMessage[],
  write: (writes: readonly Write[]) => Promise<void>,
): Promise<void> {
  const { adapterIds } = await parts.learnt.exclusively(async () => {
    const forgetting = await forgettingOf(parts, changes);
    await write(forgetting.writes);
    return forgetting;
  });
  if (adapterIds.length > 0) await parts.shelf.update((now) => without(now, adapterIds));
}

/** Takes out of use, and has withdrawn, what the feed shows of trainings that a deletion forgot: the device never heard that
 *  they were published. */
export async function withdrawForgotten(parts: SyncParts, signal: AbortSignal): Promise<void> {
  const { learnt, shelf, storage, trained } = parts;
  const forgotten = await trained.forgotten();
  if (forgotten.size === 0) return;
  const { slots } = await shelf.read();
  const adapters = Object.values(slots).flatMap(({ wanted, installed }) => [
    ...(wanted === null ? [] : [wanted]),
    ...(installed === null ? [] : [installed]),
  ]);
  const ids = adapters
    .filter(({ files }) => files.some(({ sha256 }) => forgotten.has(sha256)))
    .map(({ id }) => id);
  if (ids.length === 0) return;
  await storage.write(ids.map((id) => learnt.withdrawing(id)));
  await shelf.update((now) => without(now, ids));
  await withdrawAll(parts, signal);
}

/** Has the server revoke what is to be withdrawn, for the user's other devices and the cloud. Throws ApiError. */
export async function withdrawAll({ api, learnt }: SyncParts, signal: AbortSignal): Promise<void> {
  for (const adapterId of await learnt.withdrawn()) {
    await api.ask('Withdraw', { adapterId }, signal).catch((error: unknown) => {
      if (!isHopeless(error)) throw error;
    });
    await learnt.settle(adapterId);
  }
}
