// The user's row: the lock for, and the last value of, the two orders that a user's data has.

import type { Tx } from './database.ts';
import type { UserRow } from './schema.ts';

/** Locks the user's row until the transaction ends, and returns it as it is now. Whatever takes a place in the user's
 *  order of changes or in the user's feed takes this lock first, so none of them can pass another or deadlock. */
export function lockUser(tx: Tx, userId: string): Promise<UserRow> {
  return tx
    .selectFrom('users')
    .selectAll()
    .where('id', '=', userId)
    .forUpdate()
    .executeTakeFirstOrThrow();
}

/** Hands out the next `count` places in the user's order of changes, which ratings share; returns the first of them.
 *  Locks the user's row until the transaction ends: places become visible in their order. */
export async function nextChangeSeq(tx: Tx, userId: string, count = 1): Promise<number> {
  const { changeSeq } = await tx
    .updateTable('users')
    .set((eb) => ({ changeSeq: eb('changeSeq', '+', count) }))
    .where('id', '=', userId)
    .returning('changeSeq')
    .executeTakeFirstOrThrow();
  return changeSeq - count + 1;
}

/** Hands out the next `count` positions in the user's adapter feed; returns the first of them. Locks the user's row until
 *  the transaction ends: a reader never sees a position before the ones below it. */
export async function nextFeedSeq(tx: Tx, userId: string, count = 1): Promise<number> {
  const { feedSeq } = await tx
    .updateTable('users')
    .set((eb) => ({ feedSeq: eb('feedSeq', '+', count) }))
    .where('id', '=', userId)
    .returning('feedSeq')
    .executeTakeFirstOrThrow();
  return feedSeq - count + 1;
}
