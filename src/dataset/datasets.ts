import type { Db } from '../db/database.ts';
import type { DatasetRow } from '../db/schema.ts';

/** The user's datasets of these ids, in any order. */
export function datasetsById(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<DatasetRow[]> {
  if (ids.length === 0) return Promise.resolve([]);
  return db
    .selectFrom('datasets')
    .selectAll()
    .where('userId', '=', userId)
    .where('id', 'in', ids)
    .execute();
}

/** The user's newest dataset of each mode that has one. */
export function latestDatasets(db: Db, userId: string): Promise<DatasetRow[]> {
  return db
    .selectFrom('datasets')
    .distinctOn('mode')
    .selectAll()
    .where('userId', '=', userId)
    .orderBy('mode')
    .orderBy('changeSeq', 'desc')
    .execute();
}
