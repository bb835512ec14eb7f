// The column types that read as one thing and are written as another.

import type { ColumnType } from 'kysely';

/** A jsonb column: any JSON value out, its JSON text in. */
export type Jsonb<T> = ColumnType<T, string, string>;

/** A jsonb column that may be null. */
export type NullableJsonb<T> = ColumnType<T | null, string | null, string | null>;

/** A column that lies sealed (sealed-columns.ts). */
export type SealedColumn = ColumnType<Uint8Array, Uint8Array, Uint8Array>;

/** A column that lies sealed and may be null. */
export type NullableSealedColumn = ColumnType<
  Uint8Array | null,
  Uint8Array | null | undefined,
  Uint8Array | null
>;

/** A timestamptz column. */
export type Timestamp = ColumnType<Date, Date | string, Date | string>;

/** A timestamptz column that may be null. */
export type NullableTimestamp = ColumnType<Date | null, Date | string | null, Date | string | null>;
