// Many values in one parameter, so that a statement's text is the same however many there are. A thousand rows as parameters of
// their own take longer to put into words than to insert.

import { type RawBuilder, sql } from 'kysely';

type ElementType = 'text' | 'uuid' | 'bytea' | 'integer' | 'timestamptz';

/** What an element may be. */
type Value = string | number | boolean | Date | Uint8Array | null;

/** The values as an array of this type, which goes into the statement as it is. */
export function sqlArray(type: ElementType, values: readonly Value[]): RawBuilder<unknown> {
  return sql`${`{${values.map(elementOf).join(',')}}`}::text::${sql.raw(type)}[]`;
}

/** One column of rows as an array, for `unnest`. */
export function columnOf<Name extends string>(
  rows: readonly { readonly [N in Name]: Value }[],
  name: Name,
  type: ElementType,
): RawBuilder<unknown> {
  return sqlArray(
    type,
    rows.map((row) => row[name]),
  );
}

/** In PostgreSQL's text of an array. */
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
