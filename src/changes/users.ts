import { randomUUID } from 'node:crypto';
import type { Db } from '../db/database.ts';
import type { UserRow } from '../db/schema.ts';
import { vaultOf } from '../db/sealed-columns.ts';
import { must } from '../lib/errors.ts';

/** The user of that `sub`, made at first sight. The subject comes from a verified token. */
export async function ensureUser(db: Db, subject: string, now: Date): Promise<UserRow> {
  const found = await userBySubject(db, subject);
  if (found !== undefined) return found;
  const vault = vaultOf(db);
  const id = randomUUID();
  // first the keys: a user without them could keep nothing
  await vault.create(id);
  const made = await db
    .insertInto('users')
    .values({ id, subject, feedEpoch: randomUUID(), createdAt: now })
    .onConflict((conflict) => conflict.column('subject').doNothing())
    .returning('id')
    .executeTakeFirst();
  if (made === undefined) await vault.destroy(id);
  return must(await userBySubject(db, subject), 'the user was inserted, by us or by another');
}

/** The user of that `sub`, if there was ever a token for it. */
export function userBySubject(db: Db, subject: string): Promise<UserRow | undefined> {
  return db.selectFrom('users').selectAll().where('subject', '=', subject).executeTakeFirst();
}
