// Many rows in one statement whose text is the same however many there are: the values go column by column, as arrays.
// A thousand rows as parameters of their own take longer to put into words than to insert.

import { type RawBuilder, sql } from 'kysely';

/** What a column may hold. */
type Value = string | number | boolean | Date | Uint8Array | null;

/** A column by SQL's names, and its values in the order of the rows. */
export interface Column {
  readonly name: string;
  readonly type: 'uuid' | 'text' | 'bytea' | 'bigint' | 'boolean' | 'timestamptz';
  readonly values: readonly Value[];
}

/** `insert into table (...) select ...`, one row for each place in the columns; a clause may follow. The names go into
 *  the statement as they are. */
export function insertColumns(
  table: string,
  columns: readonly Column[],
  clause = '',
): RawBuilder<unknown> {
  const names = sql.raw(columns.map(({ name }) => name).join(', '));
  const arrays = columns.map(
    ({ type, values }) => sql`${arrayLiteral(values)}::text::${sql.raw(type)}[]`,
  );
  return sql`insert into ${sql.raw(table)} (${names}) select * from unnest(${sql.join(arrays)}) ${sql.raw(clause)}`;
}

/** PostgreSQL's text of an array. */
function arrayLiteral(values: readonly Value[]): string {
  return `{${values.map(elementOf).join(',')}}`;
}

function elementOf(value: Value): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return `"${value.replace(/[\\"]/g, '\\$&')}"`;
  if (value instanceof Date) return `"${timestampOf(value)}"`;
  if (value instanceof Uint8Array) return `"\\\\x${hexOf(value)}"`;
  return String(value);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** ISO 8601, which PostgreSQL reads for the years 1 to 9999. */
function timestampOf(date: Date): string {
  return date.toISOString();
}
