// Everything of one user sealed anew with the newest data key, a few rows at a time, while others read and write.

import { sql } from 'kysely';
import type { AdapterStore } from '../adapters/store.ts';
import type { Db, Tx } from '../db/database.ts';
import {
  keysOf,
  openRowsWith,
  SEALED_TABLES,
  type SealedTable,
  sealRow,
} from '../db/sealed-columns.ts';
import type { UserKeys } from '../sealing/user-keys.ts';

/** Rows sealed anew by one transaction, which holds them. */
const BATCH = 200;

/** What is sealed anew. */
export interface ResealDeps {
  readonly db: Db;
  readonly store: AdapterStore;
}

/** Seals all values and adapters of the user with the newest data key; returns how many rows and adapters those were.
 *  Safe to repeat, and to go on with after a kill. */
export async function resealUser(
  { db, store }: ResealDeps,
  userId: string,
): Promise<{ readonly rows: number; readonly adapters: number }> {
  let rows = 0;
  for (const table of Object.keys(SEALED_TABLES) as SealedTable[])
    for (let count = BATCH; count === BATCH; rows += count)
      count = await db.transaction().execute((tx) => resealSome(tx, userId, table));
  const adapters = await db
    .selectFrom('adapters')
    .select(['userId', 'sha256'])
    .distinct()
    .where('userId', '=', userId)
    .where('status', 'in', ['LIVE', 'SUPERSEDED'])
    .execute();
  for (const name of adapters) await store.reseal(name);
  return { rows, adapters: adapters.length };
}

/** Returns how many rows were sealed anew: fewer than BATCH when none are left. */
async function resealSome(tx: Tx, userId: string, table: SealedTable): Promise<number> {
  const keys = await keysOf(tx, userId);
  const { columns, rowName } = SEALED_TABLES[table];
  const newest = Buffer.alloc(4);
  newest.writeUInt32BE(keys.generation);
  const isOld = columns.map(
    (column) => sql`substring(${sql.ref(column)} from 1 for 4) <> ${newest}::bytea`,
  );
  const { rows } = await sql<{ place: string }>`
    select ctid::text as place, ${sql.join([...rowName, ...columns].map((name) => sql.ref(name)))}
    from ${sql.table(table)}
    where user_id = ${userId} and (${sql.join(isOld, sql` or `)})
    limit ${BATCH} for update`.execute(tx);
  if (rows.length > 0) await write(tx, table, resealed(keys, table, rows));
  return rows.length;
}

function resealed(
  keys: UserKeys,
  table: SealedTable,
  rows: readonly { readonly place: string }[],
): readonly object[] {
  const { columns } = SEALED_TABLES[table];
  return openRowsWith(keys, table, rows).map((row) => {
    const values: Record<string, unknown> = sealRow(keys, table, row);
    const texts = columns.map((column) => [column, hexOf(values[column])]);
    return { place: row.place, ...Object.fromEntries(texts) };
  });
}

async function write(tx: Tx, table: SealedTable, rows: readonly object[]): Promise<void> {
  const { columns } = SEALED_TABLES[table];
  const refs = columns.map((column) => sql.ref(column));
  await sql`update ${sql.table(table)} as t
    set ${sql.join(refs.map((ref) => sql`${ref} = decode(v.${ref}, 'hex')`))}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as v(place tid, ${sql.join(refs.map((ref) => sql`${ref} text`))})
    where t.ctid = v.place`.execute(tx);
}

function hexOf(value: unknown): string | null {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : null;
}
