// The newest state of the user's data items, as clients read it; deleted ones are not there.

import type { Db } from '../db/database.ts';
import { openPage, type Page, type PageArgs, page } from '../db/page.ts';
import type { RecordRow } from '../db/schema.ts';
import { openRows } from '../db/sealed-columns.ts';
import { AppError } from '../lib/errors.ts';
import { textFlaw } from '../lib/storable.ts';

/** A page of the user's records, of one source or of all, in the order of their last change. */
export async function pageRecords(
  db: Db,
  userId: string,
  filter: { source?: string | null | undefined },
  args: PageArgs,
): Promise<Page<RecordRow>> {
  const all = existing(db, userId);
  const source = filter.source ?? null;
  const flaw = source === null ? null : textFlaw(source);
  if (flaw !== null) throw new AppError('BAD_INPUT', `source ${flaw}.`);
  const rows = source === null ? all : all.where('source', '=', source);
  const found = await page(rows, { column: 'changeSeq', order: 'asc' }, args);
  return openPage(db, 'records', userId, found);
}

/** Those of the rows that are the user's records and not deleted, in no order. */
export async function recordsById(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<RecordRow[]> {
  if (ids.length === 0) return [];
  const rows = await existing(db, userId).where('id', 'in', ids).execute();
  return openRows(db, 'records', userId, rows);
}

function existing(db: Db, userId: string) {
  return db
    .selectFrom('records')
    .selectAll()
    .where('userId', '=', userId)
    .where('deleted', '=', false);
}
