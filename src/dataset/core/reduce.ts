// A dataset as a pure function of records and ratings. This is the definition; folding only the changes (fold-dataset.ts)
// must give the same hash.

import { findAmong, type LiveRecord } from '../../changes/core/find-records.ts';
import type { ExampleMaker } from '../../modes/mode.ts';
import { completeExample, draftsOf, type MadeExample } from './example.ts';

/** All examples of the records, in the order of their hashes: neither names nor times of records tell. */
export function reduce(mode: ExampleMaker, records: readonly LiveRecord[]): readonly MadeExample[] {
  const drafts = records.flatMap((record) => draftsOf(mode, record));
  const find = findAmong(
    records,
    drafts.flatMap(({ lookups }) => lookups),
  );
  return drafts.map((draft) => completeExample(mode, draft, find)).sort(byHash);
}

/** The order of a dataset. */
export function byHash(a: { sha256: string }, b: { sha256: string }): number {
  return a.sha256 < b.sha256 ? -1 : Number(a.sha256 > b.sha256);
}
