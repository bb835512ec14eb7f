import { type RawBuilder, sql } from 'kysely';
import type { RecordRef } from './core/record-ref.ts';

/** Whether a row's columns `source` and `recordId` name one of the records. Written source by source, so that an index on
 *  (…, source, record_id) serves it even where the planner has no statistics, as in PGlite. */
export function isOneOf(refs: readonly RecordRef[]): RawBuilder<boolean> {
  const sources = [...new Set(refs.map(({ source }) => source))];
  const parts = sources.map((source) => {
    const ids = refs.filter((ref) => ref.source === source).map(({ recordId }) => recordId);
    return sql`(${sql.ref('source')} = ${source} and ${sql.ref('recordId')} = any(${ids}::text[]))`;
  });
  return parts.length === 0 ? sql`false` : sql`(${sql.join(parts, sql` or `)})`;
}

/** Whether a row's column is one of the ids; one parameter however many. */
export function isIdOf(column: string, ids: readonly string[]): RawBuilder<boolean> {
  return sql`${sql.ref(column)} = any(${ids}::uuid[])`;
}
