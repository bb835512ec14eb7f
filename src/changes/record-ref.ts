import { type RawBuilder, sql } from 'kysely';

/** The name of a record within its user. */
export interface RecordRef {
  readonly source: string;
  readonly recordId: string;
}

/** Each record once, in the order of first mention. */
export function distinctRefs(refs: readonly RecordRef[]): readonly RecordRef[] {
  return [
    ...new Map(refs.map((ref) => [JSON.stringify([ref.source, ref.recordId]), ref])).values(),
  ];
}

/** `(source, recordId) in (...)` for the columns of a table in the query; one parameter however many records. */
export function isOneOf(
  columns: { source: string; recordId: string },
  refs: readonly RecordRef[],
): RawBuilder<boolean> {
  const pairs = JSON.stringify(refs.map(({ source, recordId }) => [source, recordId]));
  return sql<boolean>`(${sql.ref(columns.source)}, ${sql.ref(columns.recordId)}) in
    (select ref->>0, ref->>1 from jsonb_array_elements(${pairs}::jsonb) as refs(ref))`;
}
