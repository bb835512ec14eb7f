import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Json } from '../../lib/canonical-json.ts';
import type { UserKeys } from '../../sealing/user-keys.ts';
import { keysOf, mapSealed, type SealedColumns, vaultOf } from '../sealed-columns.ts';

/** Users' texts lie sealed from here on: rows that were there are sealed, and hashes of texts become keyed ones. Users can be
 *  erased, and the bytes of revoked adapters be gone. */
export const sealed = {
  up: async (tx: Kysely<unknown>): Promise<void> => {
    await sql.raw(NEW_COLUMNS).execute(tx);
    const { rows: users } = await sql<{ id: string }>`select id from users order by id`.execute(tx);
    for (const { id } of users) await sealUser(tx, id);
    await sql.raw(OLD_COLUMNS_GO).execute(tx);
  },
};

/** The sealed columns are new ones beside the plain ones, which go when all rows are sealed. */
const NEW_COLUMNS = `
  drop index records_by_email;
  alter table records drop constraint records_check;
  ${renamed('devices', ['name'])}
  ${renamed('mutations', ['reason'])}
  ${renamed('records', ['data'])}
  ${renamed('examples', ['messages', 'target'])}
  ${renamed('completions', ['input', 'context', 'text', 'better'])}
  ${renamed('preferences', ['input', 'context', 'chosen', 'rejected'])}

  create table record_lookups (
    user_id uuid not null references users,
    source text not null,
    record_id text not null,
    field text not null,
    key text not null,
    primary key (user_id, source, record_id, field)
  );
  create index record_lookups_by_key on record_lookups (user_id, source, field, key);

  alter table users alter column subject drop not null;
  alter table users add column forget_count integer not null default 0;
  alter table users add column erased_at timestamptz;
  create index users_erased on users (erased_at) where erased_at is not null;
  alter table feed_events drop constraint feed_events_adapter_id_fkey;
  alter table adapters add column bytes_gone boolean not null default false;
  create index adapters_to_clear on adapters (user_id) where status = 'REVOKED' and not bytes_gone;
`;

const OLD_COLUMNS_GO = `
  alter table devices drop column plain_name, alter column name set not null;
  alter table mutations drop column plain_reason;
  alter table records drop column plain_data, add check (deleted = (data is null));
  alter table examples drop column plain_messages, drop column plain_target;
  alter table completions drop column plain_input, drop column plain_context, drop column plain_text,
    drop column plain_better;
  alter table preferences drop column plain_input, drop column plain_context, drop column plain_chosen,
    drop column plain_rejected;
`;

function renamed(table: string, columns: readonly string[]): string {
  return columns
    .map(
      (column) =>
        `alter table ${table} rename column ${column} to plain_${column};
         alter table ${table} add column ${column} bytea;
         alter table ${table} alter column plain_${column} drop not null;`,
    )
    .join('\n');
}

/** The tables with sealed columns as they were then. */
const TABLES = {
  devices: { columns: ['name'], rowName: ['deviceId'] },
  mutations: { columns: ['reason'], rowName: ['deviceRowId', 'mutationId'] },
  records: { columns: ['data'], rowName: ['source', 'recordId'] },
  examples: { columns: ['messages', 'target'], rowName: ['id'] },
  completions: { columns: ['input', 'context', 'text', 'better'], rowName: ['id'] },
  preferences: { columns: ['input', 'context', 'chosen', 'rejected'], rowName: ['id'] },
} as const satisfies Readonly<Record<string, SealedColumns>>;

type SealedTable = keyof typeof TABLES;

/** Rows sealed by one statement. */
const BATCH = 1_000;

const OWN: Readonly<Record<SealedTable, (userId: string) => RawBuilder<unknown>>> = {
  devices: (userId) => sql`user_id = ${userId}`,
  mutations: ofDevices,
  records: (userId) => sql`user_id = ${userId}`,
  examples: (userId) => sql`user_id = ${userId}`,
  completions: (userId) => sql`user_id = ${userId}`,
  preferences: (userId) => sql`user_id = ${userId}`,
};

function ofDevices(userId: string): RawBuilder<unknown> {
  return sql`device_row_id in (select id from devices where user_id = ${userId})`;
}

/** Hashes of inputs and of values that were looked for: short texts, which could be guessed. They become keyed ones. */
const HASHES = [
  ['examples', 'input_sha256'],
  ['completions', 'input_sha256'],
  ['preferences', 'input_sha256'],
  ['example_lookups', 'key'],
] as const;

async function sealUser(tx: Kysely<unknown>, userId: string): Promise<void> {
  await vaultOf(tx).create(userId);
  const keys = await keysOf(tx, userId);
  for (const table of Object.keys(TABLES) as SealedTable[]) {
    const own = OWN[table](userId);
    while ((await sealSome(tx, keys, table, own)) === BATCH);
  }
  for (const [table, column] of HASHES)
    await tagColumn(tx, keys, { table, column, own: sql`user_id = ${userId}` });
  const payloads = { table: 'mutations', column: 'payload_sha256', own: ofDevices(userId) };
  await tagColumn(tx, keys, payloads);
}

/** Seals rows that are not sealed yet; returns how many. */
async function sealSome(
  tx: Kysely<unknown>,
  keys: UserKeys,
  table: SealedTable,
  own: RawBuilder<unknown>,
): Promise<number> {
  const names: SealedColumns = TABLES[table];
  const { columns, rowName } = names;
  const seal = (place: string, value: unknown) => keys.seal(place, value as Json);
  const ref = (column: string) => sql.ref(column);
  const plain = columns.map((column) => sql`${ref(`plain_${column}`)} as ${ref(column)}`);
  const isOpen = columns.map(
    (column) => sql`${ref(`plain_${column}`)} is not null and ${ref(column)} is null`,
  );
  const { rows } = await sql<{ place: string }>`
    select ctid::text as place, ${sql.join([...rowName.map(ref), ...plain])} from ${sql.table(table)}
    where ${own} and (${sql.join(isOpen, sql` or `)}) limit ${BATCH}`.execute(tx);
  if (rows.length === 0) return 0;
  const sealedRows = rows.map((row) => {
    const values = mapSealed(table, names, row, seal) as Readonly<Record<string, unknown>>;
    const texts = columns.map((column) => [column, hexOf(values[column])]);
    return { place: row.place, ...Object.fromEntries(texts) };
  });
  await sql`update ${sql.table(table)} as t
    set ${sql.join(columns.map((column) => sql`${ref(column)} = decode(v.${ref(column)}, 'hex')`))}
    from jsonb_to_recordset(${JSON.stringify(sealedRows)}::jsonb)
      as v(place tid, ${sql.join(columns.map((column) => sql`${ref(column)} text`))})
    where t.ctid = v.place`.execute(tx);
  return rows.length;
}

function hexOf(sealedValue: unknown): string | null {
  return sealedValue instanceof Uint8Array ? Buffer.from(sealedValue).toString('hex') : null;
}

/** Makes the hashes of a column keyed ones; an empty one is none. */
async function tagColumn(
  tx: Kysely<unknown>,
  keys: UserKeys,
  { table, column, own }: { table: string; column: string; own: RawBuilder<unknown> },
): Promise<void> {
  const ref = sql.ref(column);
  const { rows } = await sql<{ place: string; hash: string }>`
    select ctid::text as place, ${ref} as hash from ${sql.table(table)}
    where ${own} and ${ref} <> ''`.execute(tx);
  for (let i = 0; i < rows.length; i += BATCH) {
    const tagged = rows
      .slice(i, i + BATCH)
      .map(({ place, hash }) => ({ place, tag: keys.tag(hash) }));
    await sql`update ${sql.table(table)} as t set ${ref} = v.tag
      from jsonb_to_recordset(${JSON.stringify(tagged)}::jsonb) as v(place tid, tag text)
      where t.ctid = v.place`.execute(tx);
  }
}
