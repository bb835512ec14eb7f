// Beside a bucket every process keeps copies of the adapters that it has used, and of the uploads that it took part in. Whoever
// erases removes those of its own and what is in the bucket; the others look here for what they still have.

import type { AdapterStore } from '../adapters/store.ts';
import type { Uploads } from '../adapters/uploads.ts';
import type { Db } from '../db/database.ts';

type Copy = Awaited<ReturnType<AdapterStore['copies']>>[number];

/** Users asked for by one query. */
const BATCH = 1_000;

/** Where a process keeps copies. */
export interface CopyDeps {
  readonly db: Db;
  readonly store: Pick<AdapterStore, 'copies' | 'dropCopy'>;
  readonly uploads: Pick<Uploads, 'users' | 'removeAll'>;
}

/** Removes from this process's own folders what users have left there who are gone, and adapters whose bytes were to go. */
export async function removeLeftCopies(deps: CopyDeps): Promise<void> {
  await removeLeftAdapters(deps);
  await removeLeftUploads(deps);
}

async function removeLeftUploads({ db, uploads }: CopyDeps): Promise<void> {
  const users = await uploads.users();
  for (let at = 0; at < users.length; at += BATCH) {
    const batch = users.slice(at, at + BATCH);
    const present = await presentOf(db, batch);
    for (const userId of batch) if (!present.has(userId)) await uploads.removeAll(userId);
  }
}

async function removeLeftAdapters({ db, store }: CopyDeps): Promise<void> {
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
  const present = await presentOf(db, userIds);
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

/** Those of the users who were not erased. */
async function presentOf(db: Db, userIds: readonly string[]): Promise<ReadonlySet<string>> {
  const users = await db
    .selectFrom('users')
    .select('id')
    .where('id', 'in', userIds)
    .where('erasedAt', 'is', null)
    .execute();
  return new Set(users.map(({ id }) => id));
}
