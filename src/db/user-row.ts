// The user's row: the lock for, and the last value of, the two orders that a user's data has.

import { AppError } from '../lib/errors.ts';
import type { Db, Tx } from './database.ts';
import type { UserRow } from './schema.ts';

/** Locks the user's row until the transaction ends, and returns it as it is now. Whatever takes a place in the user's
 *  order of changes or in the user's feed takes this lock first, so none of them can pass another or deadlock.
 *  Throws UNAUTHENTICATED once the user was erased: nothing of theirs is written again. */
export async function lockUser(tx: Tx, userId: string): Promise<UserRow> {
  const user = await tx
    .selectFrom('users')
    .selectAll()
    .where('id', '=', userId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  if (user.erasedAt === null) return user;
  throw new AppError('UNAUTHENTICATED', 'This user was erased; sign in again to begin anew.');
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

/** How often the user's records were deleted so far. What was begun before a delete must not be kept after it: whoever
 *  makes something of records reads this first, and compares when it is to be stored. */
export async function readForgetCount(db: Db, userId: string): Promise<number> {
  const { forgetCount } = await db
    .selectFrom('users')
    .select('forgetCount')
    .where('id', '=', userId)
    .executeTakeFirstOrThrow();
  return forgetCount;
}

/** Counts a delete of records, in its transaction. */
export async function countForgetting(tx: Tx, userId: string): Promise<void> {
  await tx
    .updateTable('users')
    .set((eb) => ({ forgetCount: eb('forgetCount', '+', 1) }))
    .where('id', '=', userId)
    .execute();
}
