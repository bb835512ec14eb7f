import type { AdapterRow } from '../db/schema.ts';
import { lockUser } from '../db/user-row.ts';
import { AppError } from '../lib/errors.ts';
import { feedTopic } from '../lib/wakeups.ts';
import type { RegistryDeps } from './publish.ts';
import { adapterById } from './registry.ts';
import { revokeAdapters } from './revoke.ts';

/** Revokes an adapter of which only the device that trained it knows that it learnt from a record that is deleted now, and
 *  every other version with its bytes, as a rollback makes. Safe to repeat. Throws NOT_FOUND for an id that is none of the
 *  user's, and CONFLICT for an adapter that the server trained: it knows what that one learnt from. */
export async function withdrawAdapter(
  deps: RegistryDeps,
  userId: string,
  adapterId: string,
): Promise<AdapterRow> {
  const now = new Date(deps.clock.now());
  const withdrawn = await deps.db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    const adapter = await adapterById(tx, adapterId);
    if (adapter === null || adapter.userId !== userId)
      throw new AppError('NOT_FOUND', 'You have no adapter with this id.');
    if (adapter.datasetId !== null)
      throw new AppError('CONFLICT', 'No device trained this adapter: delete the record instead.');
    const same = await tx
      .selectFrom('adapters')
      .select('id')
      .where('userId', '=', userId)
      .where('mode', '=', adapter.mode)
      .where('sha256', '=', adapter.sha256)
      .execute();
    const ids = same.map(({ id }) => id);
    await revokeAdapters(tx, userId, ids, { reason: 'DATA_DELETED', now });
    return { ...adapter, status: 'REVOKED' as const };
  });
  deps.wakeups.wake(feedTopic(userId));
  return withdrawn;
}
