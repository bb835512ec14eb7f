// The records that prompts show besides their input: looked up the same way for training and for answering.

import { sql } from 'kysely';
import type { Db } from '../db/database.ts';
import { keysOf, openRowsWith } from '../db/sealed-columns.ts';
import type { Json } from '../lib/canonical-json.ts';
import { must } from '../lib/errors.ts';
import type { Mode } from '../modes/mode.ts';
import { type Lookup, lookupsOf } from '../modes/prompt.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import {
  contextFrom,
  type Finder,
  fieldsOf,
  findAmong,
  type LiveRecord,
  type PromptContext,
} from './core/find-records.ts';
import type { RecordRef } from './core/record-ref.ts';
import { isOneOf } from './record-ref.ts';

/** A finder over the user's records in the database; one query for each field that is looked at. */
export async function findInDatabase(
  db: Db,
  userId: string,
  lookups: readonly Lookup[],
): Promise<Finder> {
  const matches: LiveRecord[] = [];
  if (lookups.length === 0) return findAmong(matches, lookups);
  const keys = await keysOf(db, userId);
  for (const { source, field } of fieldsOf(lookups)) {
    const wanted = lookups.filter(({ rule }) => rule.source === source && rule.field === field);
    const tags = [...new Set(wanted.map(({ key }) => keys.tag(key)))];
    const rows = await db
      .selectFrom('recordLookups as lookup')
      .innerJoin('records', (join) =>
        join
          .onRef('records.userId', '=', 'lookup.userId')
          .onRef('records.source', '=', 'lookup.source')
          .onRef('records.recordId', '=', 'lookup.recordId'),
      )
      .select(['records.source', 'records.recordId', 'records.data'])
      .where('lookup.userId', '=', userId)
      .where('lookup.source', '=', source)
      .where('lookup.field', '=', field)
      .where(sql<boolean>`lookup.key = any(${tags}::text[])`)
      .where('records.deleted', '=', false)
      .execute();
    matches.push(...openRecords(keys, rows));
  }
  return findAmong(matches, lookups);
}

/** Rows of records that are not deleted. */
function openRecords(
  keys: UserKeys,
  rows: readonly (RecordRef & { readonly data: Uint8Array | null })[],
): LiveRecord[] {
  return openRowsWith(keys, 'records', rows).map(({ source, recordId, data }) => ({
    ...{ source, recordId },
    data: must(data, 'a record that is not deleted has data'),
  }));
}

/** Those of the records that are not deleted, as they are now. */
export async function liveRecords(
  db: Db,
  userId: string,
  refs: readonly RecordRef[],
): Promise<readonly LiveRecord[]> {
  if (refs.length === 0) return [];
  const rows = await db
    .selectFrom('records')
    .select(['source', 'recordId', 'data'])
    .where('userId', '=', userId)
    .where('deleted', '=', false)
    .where(isOneOf(refs))
    .execute();
  return openRecords(await keysOf(db, userId), rows);
}

/** What the mode's prompt shows besides this input for this user now. */
export async function contextOf(
  db: Db,
  userId: string,
  mode: Mode,
  input: Json,
): Promise<PromptContext> {
  const lookups = lookupsOf(mode, input);
  return contextFrom(lookups, await findInDatabase(db, userId, lookups));
}
