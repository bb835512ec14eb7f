import { randomUUID } from 'node:crypto';
import type { Db, Tx } from '../db/database.ts';
import type { UserRow } from '../db/schema.ts';
import { must } from '../lib/errors.ts';

/** The user of that `sub`, made at first sight. The subject comes from a verified token. */
export async function ensureUser(db: Db, subject: string, now: Date): Promise<UserRow> {
  const found = await userBySubject(db, subject);
  if (found !== undefined) return found;
  await db
    .insertInto('users')
    .values({ subject, feedEpoch: randomUUID(), createdAt: now })
    .onConflict((conflict) => conflict.column('subject').doNothing())
    .execute();
  return must(await userBySubject(db, subject), 'the user was inserted, by us or by another');
}

function userBySubject(db: Db, subject: string): Promise<UserRow | undefined> {
  return db.selectFrom('users').selectAll().where('subject', '=', subject).executeTakeFirst();
}

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
