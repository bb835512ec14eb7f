import type { Tx } from '../db/database.ts';
import type { AdapterRow } from '../db/schema.ts';
import { appendToFeed } from './feed-events.ts';

/** Why an adapter is withdrawn: a code that clients may show in their own words. */
export type RevocationReason =
  | 'DATA_DELETED'
  | 'ROLLED_BACK'
  | 'RATED_WORSE'
  | 'DAMAGED'
  | 'USER_ERASED';

/** Withdraws those of the adapters that are the user's and published, and tells the user's devices; returns them.
 *  From the commit on nothing answers with them and nobody can download them. The caller holds the user's row (lockUser)
 *  and wakes feedTopic after the commit. */
export async function revokeAdapters(
  tx: Tx,
  userId: string,
  adapterIds: readonly string[],
  { reason, now }: { reason: RevocationReason; now: Date },
): Promise<readonly AdapterRow[]> {
  if (adapterIds.length === 0) return [];
  const revoked = await tx
    .updateTable('adapters')
    .set({ status: 'REVOKED' })
    .where('userId', '=', userId)
    .where('id', 'in', adapterIds)
    .where('status', 'in', ['LIVE', 'SUPERSEDED'])
    .returningAll()
    .execute();
  const oldestFirst = revoked.toSorted((a, b) => a.seq - b.seq);
  const entries = oldestFirst.map((adapter) => ({ kind: 'REVOKED' as const, adapter, reason }));
  await appendToFeed(tx, userId, entries, now);
  return oldestFirst;
}
