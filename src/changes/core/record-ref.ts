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
