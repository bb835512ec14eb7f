// A dataset as a pure function of records and ratings. This is the definition; folding only the changes (fold-dataset.ts)
// must give the same hash.

import { findAmong, type LiveRecord } from '../../changes/core/find-records.ts';
import { textSha256 } from '../../lib/text-sha256.ts';
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

/** The name of a dataset: SHA-256 over the hashes of its examples and of its preferences, one a line and each list
 *  sorted, with an empty line between the lists. */
export function datasetSha256(sortedExamples: string, sortedPreferences: string): string {
  return textSha256(`${sortedExamples}\n\n${sortedPreferences}`);
}

/** The dataset of a user who has said nothing: what the base model was adapted to. */
export const EMPTY_DATASET_SHA256 = datasetSha256('', '');
