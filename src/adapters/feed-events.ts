import type { Tx } from '../db/database.ts';
import type { AdapterRow, FeedKind } from '../db/schema.ts';
import { nextFeedSeq } from '../db/user-row.ts';

/** Something that happened to an adapter, for the user's devices to hear. */
export interface FeedEntry {
  readonly kind: FeedKind;
  readonly adapter: Pick<AdapterRow, 'id' | 'mode'>;
  /** Why it was revoked. */
  readonly reason: string | null;
}

/** Appends to the user's feed, in the transaction of what the entries tell of. After the commit, wake feedTopic. */
export async function appendToFeed(
  tx: Tx,
  userId: string,
  entries: readonly FeedEntry[],
  now: Date,
): Promise<void> {
  if (entries.length === 0) return;
  const first = await nextFeedSeq(tx, userId, entries.length);
  const rows = entries.map(({ kind, adapter, reason }, i) => ({
    userId,
    seq: first + i,
    kind,
    mode: adapter.mode,
    adapterId: adapter.id,
    reason,
    createdAt: now,
  }));
  await tx.insertInto('feedEvents').values(rows).execute();
}
