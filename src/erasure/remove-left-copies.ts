// Beside a bucket every process keeps copies of the adapters that it has used. Whoever erases removes those of its own and
// what is in the bucket; the others look here for what they still have.

import type { AdapterStore } from '../adapters/store.ts';
import type { Db } from '../db/database.ts';

type Copy = Awaited<ReturnType<AdapterStore['copies']>>[number];

/** Users asked for by one query. */
const BATCH = 1_000;

/** Removes from this process's own folder the adapters of users who are gone, and those whose bytes were to go. */
export async function removeLeftCopies({
  db,
  store,
}: {
  readonly db: Db;
  readonly store: Pick<AdapterStore, 'copies' | 'dropCopy'>;
}): Promise<void> {
  // listed before the database is asked: whoever has a folder by then has a row
  const copies = await store.copies();
  const users = [...new Set(copies.map(({ userId }) => userId))];
  for (let at = 0; at < users.length; at += BATCH) {
    const batch = new Set(users.slice(at, at + BATCH));
    const some = copies.filter(({ userId }) => batch.has(userId));
    for (const copy of await left(db, [...batch], some)) await store.dropCopy(copy);
  }
}

async function left(
  db: Db,
  userIds: readonly string[],
  copies: readonly Copy[],
): Promise<readonly Copy[]> {
  const users = await db
    .selectFrom('users')
    .select('id')
    .where('id', 'in', userIds)
    .where('erasedAt', 'is', null)
    .execute();
  const present = new Set(users.map(({ id }) => id));
  const rows = await db
    .selectFrom('adapters')
    .select(['userId', 'sha256', 'bytesGone'])
    .where('userId', 'in', userIds)
    .execute();
  const nameOf = (one: { userId: string | null; sha256: string }) => `${one.userId} ${one.sha256}`;
  const needed = new Set(rows.filter(({ bytesGone }) => !bytesGone).map(nameOf));
  const gone = new Set(rows.filter(({ bytesGone }) => bytesGone).map(nameOf));
  return copies.filter((copy) => {
    const name = nameOf(copy);
    return !present.has(copy.userId) || (gone.has(name) && !needed.has(name));
  });
}
