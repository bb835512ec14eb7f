// The tables of what records became: examples, what went into them, and the datasets they make up.

import type { Generated } from 'kysely';
import type { NullableSealedColumn, Timestamp } from './columns.ts';

/** Which part of a dataset an example is in. */
export type Split = 'train' | 'validation' | 'holdout';

/** What a record became in a mode's training set, and for which datasets: those folded at fromSeq <= n < untilSeq. */
export interface ExamplesTable {
  id: Generated<string>;
  userId: string;
  mode: string;
  /** The record the example was made from, and which of its examples it is. */
  source: string;
  recordId: string;
  ordinal: number;
  split: Split;
  /** The rendered prompt and the text to learn; null once the version is superseded or a delete has erased it. */
  messages: NullableSealedColumn;
  target: NullableSealedColumn;
  /** SHA-256 over split, prompt and target; empty once a delete has erased the version. */
  sha256: string;
  /** Keyed hash of the `inputKey` of the mode's input: completions of the same input are found by it; empty once erased. */
  inputSha256: string;
  fromSeq: number;
  untilSeq: number | null;
}

/** Every record whose content went into an example (a reply's mail and the contact shown in its prompt). */
export interface ExampleRecordsTable {
  exampleId: string;
  userId: string;
  source: string;
  recordId: string;
}

/** What a version's prompt looked for in another source, found or not: a record that newly matches re-makes the example. */
export interface ExampleLookupsTable {
  exampleId: string;
  userId: string;
  source: string;
  /** Keyed hash of the `lookupKey` of the value that was looked for. */
  key: string;
}

/** An input that a record made in a state that was written over since, or under other rules of the mode: a delete of the
 *  record takes the answers to it. */
export interface PastInputsTable {
  userId: string;
  source: string;
  recordId: string;
  mode: string;
  /** Keyed hash of its `inputKey`, as completions have it. */
  inputSha256: string;
}

/** A bucket of a (user, mode)'s alive examples, kept while it holds: see dataset/example-buckets.ts. */
export interface ExampleBucketsTable {
  userId: string;
  mode: string;
  /** The digits that its hashes begin with. */
  bucket: string;
  /** Digest of its hashes; empty where there are none. */
  sha256: string;
  /** How many of them are in each part. */
  train: number;
  validation: number;
  holdout: number;
}

/** One row per (user, mode, changeSeq): equal data gives equal sha256 under several of them. */
export interface DatasetsTable {
  id: Generated<string>;
  userId: string;
  mode: string;
  sha256: string;
  exampleCount: number;
  preferenceCount: number;
  changeSeq: number;
  createdAt: Timestamp;
}
