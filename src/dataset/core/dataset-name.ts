// What a dataset is called: the root of a hash tree over the hashes of its examples and of its preferences. Each list is cut into
// 256 buckets, so that whoever keeps the buckets' digests names a changed dataset by reading the buckets that changed. The name
// follows from the content alone, not from its history. docs/datasets.md states it for users.

import { textSha256 } from '../../lib/text-sha256.ts';

/** Every bucket there can be: the first two digits of the hashes in it. */
export const BUCKETS: readonly string[] = Array.from({ length: 256 }, (_, i) =>
  i.toString(16).padStart(2, '0'),
);

/** The bucket of a hash. */
export function bucketOf(sha256: string): string {
  return sha256.slice(0, 2);
}

/** The digest of one bucket: SHA-256 over its hashes, sorted, one a line. */
export function bucketSha256(hashes: readonly string[]): string {
  return textSha256([...hashes].sort().join('\n'));
}

/** The digest of a list by those of its buckets, in any order, without the empty ones: SHA-256 over a line for each, its
 *  digits and its digest. */
export function listSha256(
  digests: readonly (readonly [bucket: string, sha256: string])[],
): string {
  return textSha256(
    digests
      .map((digest) => digest.join(' '))
      .sort()
      .join('\n'),
  );
}

/** The name of the dataset with these lists: SHA-256 over a line for each. */
export function nameOfLists(examplesSha256: string, preferencesSha256: string): string {
  return textSha256(`${examplesSha256}\n${preferencesSha256}`);
}

interface Hashed {
  readonly sha256: string;
}

/** The digest of a list in any order; equal parts count as often as they come. */
export function partsSha256(parts: readonly Hashed[]): string {
  const buckets = new Map<string, string[]>();
  for (const { sha256 } of parts) {
    const bucket = bucketOf(sha256);
    const within = buckets.get(bucket) ?? [];
    buckets.set(bucket, within);
    within.push(sha256);
  }
  return listSha256([...buckets].map(([bucket, within]) => [bucket, bucketSha256(within)]));
}

/** The name of the dataset of these examples and preferences, in any order. */
export function datasetSha256(examples: readonly Hashed[], preferences: readonly Hashed[]): string {
  return nameOfLists(partsSha256(examples), partsSha256(preferences));
}

/** The dataset of a user who has said nothing: what the base model was adapted to. */
export const EMPTY_DATASET_SHA256 = datasetSha256([], []);
