import type { Db } from '../db/database.ts';
import type { AdapterStore } from './store.ts';

/** Seals users' adapters that an earlier server has left plain, a copy for each user who has them, and removes the plain
 *  ones. Safe to repeat, and after a kill. */
export async function sealOldAdapters({
  db,
  store,
}: {
  readonly db: Db;
  readonly store: AdapterStore;
}): Promise<void> {
  const plain = await store.plainNames();
  if (plain.length === 0) return;
  const rows = await db
    .selectFrom('adapters')
    .select(['userId', 'sha256', 'status'])
    .where('sha256', 'in', plain)
    .execute();
  // what has no row yet may be another server's, which is about to ship it
  const shipped = new Set(rows.filter(({ userId }) => userId === null).map((row) => row.sha256));
  const own = new Set(rows.filter(({ userId }) => userId !== null).map((row) => row.sha256));
  for (const { userId, sha256, status } of rows) {
    const isNeeded = userId !== null && (status === 'LIVE' || status === 'SUPERSEDED');
    const plainName = { userId: null, sha256 };
    // what is damaged is found missing, and withdrawn, when somebody asks for it
    if (isNeeded && (await store.isIntact(plainName)))
      await store.put(store.pathOf(plainName), userId);
  }
  for (const sha256 of own) if (!shipped.has(sha256)) await store.remove({ userId: null, sha256 });
}
