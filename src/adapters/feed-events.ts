import type { Expression } from 'kysely';
import type { Db, Tx } from '../db/database.ts';
import type { AdapterRow, FeedKind } from '../db/schema.ts';
import { nextFeedSeq } from '../db/user-row.ts';
import { currentTrace } from '../lib/trace.ts';
import { DEVICE_LEASE_MS, heldByLiveDevices } from './held-adapters.ts';

/** Something that happened to an adapter, for the user's devices to hear. */
export interface FeedEntry {
  readonly kind: FeedKind;
  readonly adapter: Pick<AdapterRow, 'id' | 'mode'>;
  /** Why it was revoked. */
  readonly reason: string | null;
}

/** Appends to the user's feed, in the transaction of what the entries tell of, and trims what is too old to matter.
 *  After the commit, wake feedTopic. */
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
    trace: currentTrace(),
  }));
  await tx.insertInto('feedEvents').values(rows).execute();
  await trimFeed(tx, userId, now);
}

/** The user's events that a device still has to hear of, however late it comes: live adapters, and revocations of what
 *  a device holds that is not lost. */
export function eventsThatMatter(db: Db, userId: string | Expression<string>, now: Date) {
  const live = db
    .selectFrom('adapters')
    .select('id')
    .where('userId', '=', userId)
    .where('status', '=', 'LIVE');
  return db
    .selectFrom('feedEvents')
    .select('seq')
    .where('userId', '=', userId)
    .where((eb) =>
      eb.or([
        eb.and([eb('kind', '=', 'READY'), eb('adapterId', 'in', live)]),
        eb.and([
          eb('kind', '=', 'REVOKED'),
          eb('adapterId', 'in', heldByLiveDevices(db, userId, now)),
        ]),
      ]),
    );
}

/** Drops the events that are older than the lease and do not matter any more; cursors of before them expire. */
async function trimFeed(tx: Tx, userId: string, now: Date): Promise<void> {
  const trimmed = await tx
    .deleteFrom('feedEvents')
    .where('userId', '=', userId)
    .where('createdAt', '<=', new Date(now.getTime() - DEVICE_LEASE_MS))
    .where('seq', 'not in', eventsThatMatter(tx, userId, now))
    .returning('seq')
    .execute();
  if (trimmed.length === 0) return;
  const last = Math.max(...trimmed.map(({ seq }) => seq));
  await tx
    .updateTable('users')
    .set((eb) => ({ feedFloor: eb.fn<number>('greatest', ['feedFloor', eb.val(last)]) }))
    .where('id', '=', userId)
    .execute();
}
