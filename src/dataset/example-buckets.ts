// What the name of a dataset is made of, kept from fold to fold: the digest of every bucket of its examples, and how many of them
// are in which part. A row holds as long as no example of its bucket comes or goes; whoever changes examples drops it.

import { sql } from 'kysely';
import type { Tx } from '../db/database.ts';
import type { ExampleBucketsTable, Split } from '../db/dataset-tables.ts';
import { BUCKETS, bucketOf, bucketSha256, listSha256 } from './core/dataset-name.ts';

/** All alive examples of a (user, mode): their digest as `listSha256` makes it, and how many there are. */
export interface ExampleList {
  readonly sha256: string;
  readonly count: number;
}

/** Buckets of fewer examples are not kept: their rows would take as much room as the examples, and reading all costs little. */
const KEPT_FROM = 1_000;

/** A (user, mode), in a transaction that holds the user's lock. */
interface Place {
  readonly tx: Tx;
  readonly userId: string;
  readonly mode: { readonly key: string };
}

type Bucket = Pick<ExampleBucketsTable, 'bucket' | 'sha256' | Split>;

/** Reads the examples of the buckets that are not kept, and keeps these. */
export async function exampleBuckets({ tx, userId, mode }: Place): Promise<ExampleList> {
  const kept = await tx
    .selectFrom('exampleBuckets')
    .select(['bucket', 'sha256', 'train', 'validation', 'holdout'])
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .execute();
  const known = new Set(kept.map(({ bucket }) => bucket));
  const missing = BUCKETS.filter((bucket) => !known.has(bucket));
  const made = missing.length === 0 ? [] : await makeBuckets({ tx, userId, mode }, missing);
  const all = [...kept, ...made];
  const count = all.reduce(
    (sum, bucket) => sum + bucket.train + bucket.validation + bucket.holdout,
    0,
  );
  if (made.length > 0 && count >= KEPT_FROM) {
    const owner = { userId, mode: mode.key };
    await tx
      .insertInto('exampleBuckets')
      .values(made.map((bucket) => ({ ...owner, ...bucket })))
      .execute();
  }
  const digests = all.filter((bucket) => bucket.sha256 !== '');
  return { sha256: listSha256(digests.map(({ bucket, sha256 }) => [bucket, sha256])), count };
}

/** The digest of an empty bucket is empty. */
async function makeBuckets(
  { tx, userId, mode }: Place,
  buckets: readonly string[],
): Promise<readonly Bucket[]> {
  const bucket = sql<string>`left(sha256, 2)`;
  const rows = await tx
    .selectFrom('examples')
    .select([
      bucket.as('bucket'),
      sql<string[]>`array_agg(sha256)`.as('hashes'),
      ...[countOf('train'), countOf('validation'), countOf('holdout')],
    ])
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('untilSeq', 'is', null)
    .where(sql<boolean>`${bucket} = any(${buckets}::text[])`)
    .groupBy(bucket)
    .execute();
  const filled = new Map(
    rows.map(({ hashes, ...row }) => [row.bucket, { ...row, sha256: bucketSha256(hashes) }]),
  );
  const nothing = { sha256: '', train: 0, validation: 0, holdout: 0 };
  return buckets.map((name) => filled.get(name) ?? { bucket: name, ...nothing });
}

function countOf<S extends Split>(split: S) {
  return sql<number>`count(*) filter (where split = ${split})`.as(split);
}

/** Examples with these hashes come or go. */
export async function dropBuckets(
  { tx, userId, mode }: Place,
  hashes: readonly string[],
): Promise<void> {
  if (hashes.length === 0) return;
  const buckets = [...new Set(hashes.map(bucketOf))];
  await tx
    .deleteFrom('exampleBuckets')
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where(sql<boolean>`bucket = any(${buckets}::text[])`)
    .execute();
}

/** Any examples of the modes may go. */
export async function dropAllBuckets(
  tx: Tx,
  userId: string,
  modes: readonly string[],
): Promise<void> {
  if (modes.length === 0) return;
  await tx
    .deleteFrom('exampleBuckets')
    .where('userId', '=', userId)
    .where('mode', 'in', modes)
    .execute();
}
