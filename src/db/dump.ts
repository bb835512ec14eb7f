// All rows of the database as text, one consistent moment of it, and back into an empty one.

import { sql } from 'kysely';
import type { Db, Tx } from './database.ts';
import { requireOurMigrations } from './migrate.ts';
import type { DatabaseSchema } from './schema.ts';

/** A row as JSON and the table that it belongs to. */
export interface DumpedRow {
  readonly table: string;
  readonly json: string;
}

/** SQL's name of every table, those that others refer to first. */
const TABLES = Object.values({
  facts: 'facts',
  users: 'users',
  devices: 'devices',
  revokedDevices: 'revoked_devices',
  pushes: 'pushes',
  records: 'records',
  recordLookups: 'record_lookups',
  modeStates: 'mode_states',
  datasets: 'datasets',
  examples: 'examples',
  exampleRecords: 'example_records',
  exampleLookups: 'example_lookups',
  exampleBuckets: 'example_buckets',
  pastInputs: 'past_inputs',
  runs: 'runs',
  adapters: 'adapters',
  feedEvents: 'feed_events',
  heldAdapters: 'held_adapters',
  completions: 'completions',
  completionRecords: 'completion_records',
  preferences: 'preferences',
} satisfies Record<keyof DatabaseSchema, string>);

/** The row before all others, which is of no table: the names of the migrations that the tables had. */
const MIGRATIONS = 'migrations';

/** Tables that number their rows. */
const NUMBERED = ['runs', 'adapters', 'completions', 'revoked_devices'];

/** Rows held in memory at a time. */
const BATCH = 500;

/** Gives every row to `take`, as all of them are at one moment; others read and write meanwhile. Before them comes a row of no
 *  table, which says whose tables they are of. Returns how many there are without it. */
export function dumpRows(
  db: Db,
  take: (rows: readonly DumpedRow[]) => Promise<void>,
): Promise<number> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      await take([{ table: MIGRATIONS, json: JSON.stringify(await migrationsOf(tx)) }]);
      let count = 0;
      for (const table of TABLES) count += await dumpTable(tx, table, take);
      return count;
    });
}

async function migrationsOf(tx: Tx): Promise<readonly string[]> {
  const { rows } = await sql<{
    name: string;
  }>`select name from kysely_migration order by name`.execute(tx);
  return rows.map(({ name }) => name);
}

async function dumpTable(
  tx: Tx,
  table: string,
  take: (rows: readonly DumpedRow[]) => Promise<void>,
): Promise<number> {
  let count = 0;
  const name = sql.table(table);
  await sql`declare dumped no scroll cursor for select to_jsonb(t)::text as json from ${name} as t`.execute(
    tx,
  );
  for (;;) {
    const { rows } = await sql<{ json: string }>`fetch ${sql.lit(BATCH)} from dumped`.execute(tx);
    if (rows.length === 0) break;
    count += rows.length;
    await take(rows.map(({ json }) => ({ table, json })));
  }
  await sql`close dumped`.execute(tx);
  return count;
}

/** Puts rows back in the order in which they were dumped, all of them or none. Feeds begin anew: devices may have heard of what came
 *  after the dump, and events that come now would have the numbers of those. Throws when there are users already, and
 *  StartError on rows of an older or a newer Attune's tables. Returns how many there are. */
export function restoreRows(
  db: Db,
  rows: AsyncIterable<DumpedRow>,
  /** Looks at what was put back; what it throws takes all of it back. */
  check: (tx: Tx) => Promise<void>,
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const user = await tx.selectFrom('users').select('id').limit(1).executeTakeFirst();
    if (user !== undefined) throw new Error('the database is not empty: it has users');
    let count = 0;
    let batch: DumpedRow[] = [];
    for await (const row of ofOurTables(rows)) {
      if (batch.length === BATCH || (batch[0]?.table ?? row.table) !== row.table) {
        await insert(tx, batch);
        batch = [];
      }
      batch.push(row);
      count += 1;
    }
    await insert(tx, batch);
    for (const table of NUMBERED) await continueNumbers(tx, table);
    await sql`update users set feed_epoch = gen_random_uuid()::text`.execute(tx);
    await check(tx);
    return count;
  });
}

/** The rows behind the first one, which the oldest dumps did not have. */
async function* ofOurTables(rows: AsyncIterable<DumpedRow>): AsyncGenerator<DumpedRow> {
  let isFirst = true;
  for await (const row of rows) {
    const isOfTable = row.table !== MIGRATIONS;
    if (isFirst) requireOurMigrations(isOfTable ? [] : (JSON.parse(row.json) as string[]));
    if (isOfTable) yield row;
    isFirst = false;
  }
}

async function insert(tx: Tx, rows: readonly DumpedRow[]): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  if (!TABLES.includes(first.table)) throw new Error(`there is no table ${first.table}`);
  const name = sql.table(first.table);
  const values = `[${rows.map(({ json }) => json).join(',')}]`;
  await sql`insert into ${name} overriding system value
    select * from jsonb_populate_recordset(null::${name}, ${values}::jsonb)`.execute(tx);
}

/** New rows are numbered behind those that were restored. */
async function continueNumbers(tx: Tx, table: string): Promise<void> {
  await sql`select setval(pg_get_serial_sequence(${table}, 'seq'), coalesce(max(seq), 0) + 1, false)
    from ${sql.table(table)}`.execute(tx);
}
