import { sql } from 'kysely';
import type { Tx } from '../db/database.ts';
import { columnOf } from '../db/sql-array.ts';
import type { Json } from '../lib/canonical-json.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import type { SourceCatalog } from './change.ts';
import { keyOf } from './core/find-records.ts';
import type { RecordRef } from './core/record-ref.ts';
import { isOneOf } from './record-ref.ts';

/** A record as it is now. */
interface RecordState extends RecordRef {
  /** Null: deleted. */
  readonly data: Json;
}

/** Keeps by what the user's records are found, where some mode looks for records of their source. */
export async function writeLookups(
  tx: Tx,
  keys: UserKeys,
  {
    userId,
    states,
    lookupFields,
  }: { userId: string; states: readonly RecordState[] } & Pick<SourceCatalog, 'lookupFields'>,
): Promise<void> {
  const sought = states.filter(({ source }) => lookupFields(source).length > 0);
  if (sought.length === 0) return;
  await tx
    .deleteFrom('recordLookups')
    .where('userId', '=', userId)
    .where(isOneOf(sought))
    .execute();
  const rows = sought.flatMap(({ source, recordId, data }) =>
    lookupFields(source).flatMap((field) => {
      const key = data === null ? '' : keyOf({ data }, field);
      return key === '' ? [] : [{ source, recordId, field, key: keys.tag(key) }];
    }),
  );
  if (rows.length === 0) return;
  await sql`insert into record_lookups (user_id, source, record_id, field, key)
    select ${userId}::uuid, * from unnest(${columnOf(rows, 'source', 'text')}, ${columnOf(rows, 'recordId', 'text')},
      ${columnOf(rows, 'field', 'text')}, ${columnOf(rows, 'key', 'text')})`.execute(tx);
}
