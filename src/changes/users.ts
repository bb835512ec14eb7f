import { randomUUID } from 'node:crypto';
import type { Db } from '../db/database.ts';
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
