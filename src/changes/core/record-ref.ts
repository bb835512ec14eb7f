/** The name of a record within its user. */
export interface RecordRef {
  readonly source: string;
  readonly recordId: string;
}

/** The name in one text, for maps and sets. */
export function refName({ source, recordId }: RecordRef): string {
  return JSON.stringify([source, recordId]);
}

/** Each record once, in the order of first mention. */
export function distinctRefs(refs: readonly RecordRef[]): readonly RecordRef[] {
  return [...new Map(refs.map((ref) => [refName(ref), ref])).values()];
}
