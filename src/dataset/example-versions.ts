// The examples table as versions: what a record became is alive from the fold that made it to the fold that replaced it.
// Texts live only as long as their version: afterwards a version is just the proof of what a dataset contained.

import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { findInDatabase, liveRecords } from '../changes/context.ts';
import { keyOf, type LiveRecord } from '../changes/core/find-records.ts';
import { distinctRefs, type RecordRef } from '../changes/core/record-ref.ts';
import { isIdOf, isOneOf } from '../changes/record-ref.ts';
import type { Tx } from '../db/database.ts';
import { keysOf, sealRow } from '../db/sealed-columns.ts';
import type { Mode } from '../modes/mode.ts';
import { completeExample, draftsOf, type MadeExample } from './core/example.ts';
import { dropAllBuckets, dropBuckets } from './example-buckets.ts';
import { noteInputs } from './past-inputs.ts';

/** A (user, mode) at one point of the user's order of changes, in a transaction that holds the user's lock. */
export interface FoldPoint {
  readonly tx: Tx;
  readonly userId: string;
  readonly mode: Mode;
  readonly seq: number;
}

/** A record as it is now; a tombstone has null data. */
export interface ChangedRecord extends RecordRef {
  readonly data: LiveRecord['data'];
  readonly deleted: boolean;
}

/** Rows of one INSERT; PostgreSQL takes 65,535 parameters. */
const ROWS_PER_INSERT = 1_000;

/** Makes the examples anew that the changed records have a part in: their own, those that show them, and those that
 *  looked for what they now are. */
export async function remakeExamples(
  point: FoldPoint,
  changed: readonly ChangedRecord[],
): Promise<void> {
  if (changed.length === 0) return;
  const own = changed.filter(({ source }) => point.mode.examples.has(source));
  const shownIn = await recordsShowing(point, changed);
  const askedBy = await recordsLookingFor(point, changed.filter(isLive));
  const affected = distinctRefs([...own, ...shownIn, ...askedBy]);
  if (affected.length === 0) return;
  const ended = await endVersions(point, affected);
  const made = await makeExamples(point, await liveRecords(point.tx, point.userId, affected));
  await insertVersions(point, made);
  await dropBuckets(point, [...ended, ...made.map(({ sha256 }) => sha256)]);
}

/** Ends all versions of the (user, mode): its rules have changed. */
export async function endAllVersions(point: FoldPoint): Promise<void> {
  await endVersions(point, null);
  await dropAllBuckets(point.tx, point.userId, [point.mode.key]);
}

/** The ids of all versions, of any mode, alive or not, that hold content of the records. */
export async function versionsHolding(
  tx: Tx,
  userId: string,
  refs: readonly RecordRef[],
): Promise<readonly string[]> {
  if (refs.length === 0) return [];
  const rows = await tx
    .selectFrom('exampleRecords')
    .select('exampleId')
    .distinct()
    .where('userId', '=', userId)
    .where(isOneOf(refs))
    .execute();
  return rows.map(({ exampleId }) => exampleId);
}

function isLive(record: ChangedRecord): boolean {
  return !record.deleted;
}

/** Records whose alive examples show a changed one. */
async function recordsShowing(
  point: FoldPoint,
  changed: readonly RecordRef[],
): Promise<readonly RecordRef[]> {
  const shown = changed.filter(({ source }) =>
    point.mode.context.some((rule) => rule.source === source),
  );
  return recordsOf(point, await versionsHolding(point.tx, point.userId, shown));
}

/** Records whose alive examples looked for what a changed one now is. */
async function recordsLookingFor(
  point: FoldPoint,
  changed: readonly LiveRecord[],
): Promise<readonly RecordRef[]> {
  const keys = await keysOf(point.tx, point.userId);
  const wanted = point.mode.context.flatMap(({ source, field }) =>
    changed
      .filter((record) => record.source === source)
      .map((record) => ({ source, key: keys.tag(keyOf(record, field)) })),
  );
  if (wanted.length === 0) return [];
  const rows = await point.tx
    .selectFrom('exampleLookups')
    .select('exampleId')
    .where('userId', '=', point.userId)
    .where((eb) => eb.or(wanted.map(({ source, key }) => eb.and({ source, key }))))
    .execute();
  return recordsOf(
    point,
    rows.map(({ exampleId }) => exampleId),
  );
}

/** The records that the versions were made from, those of this mode that are alive. The ids alone are asked for: a
 *  planner without statistics would rather read all the user's examples. */
async function recordsOf(
  { tx, mode }: FoldPoint,
  versionIds: readonly string[],
): Promise<readonly RecordRef[]> {
  if (versionIds.length === 0) return [];
  const versions = await tx
    .selectFrom('examples')
    .select(['source', 'recordId', 'mode', 'untilSeq'])
    .where(isIdOf('id', versionIds))
    .execute();
  return versions.filter((version) => version.mode === mode.key && version.untilSeq === null);
}

/** A version that no dataset contains goes, and of its input at most a note is left; the others keep only the names of their
 *  records. Returns the hashes of all that it ends. */
async function endVersions(
  { tx, userId, mode, seq }: FoldPoint,
  refs: readonly RecordRef[] | null,
): Promise<readonly string[]> {
  const newest = await tx
    .selectFrom('datasets')
    .select(({ fn }) => fn.max('changeSeq').as('seq'))
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .executeTakeFirstOrThrow();
  const isEnding = refs === null ? sql<boolean>`true` : isOneOf(refs);
  const deleted = await tx
    .deleteFrom('examples')
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('untilSeq', 'is', null)
    .where('fromSeq', '>', newest.seq ?? 0)
    .where(isEnding)
    .returning(['sha256', 'mode', 'source', 'recordId', 'inputSha256'])
    .execute();
  // the empty hash is that of what a delete erased
  const lost = deleted.filter(({ inputSha256 }) => inputSha256 !== '');
  // by other rules the same record makes other inputs
  if (refs === null) await noteInputs(tx, userId, lost);
  const superseded = await tx
    .updateTable('examples')
    .set({ untilSeq: seq, messages: null, target: null })
    .where('userId', '=', userId)
    .where('mode', '=', mode.key)
    .where('untilSeq', 'is', null)
    .where(isEnding)
    .returning('sha256')
    .execute();
  return [...deleted, ...superseded].map(({ sha256 }) => sha256);
}

async function makeExamples(
  { tx, userId, mode }: FoldPoint,
  records: readonly LiveRecord[],
): Promise<readonly MadeExample[]> {
  const drafts = records.flatMap((record) => draftsOf(mode, record));
  const lookups = drafts.flatMap((draft) => draft.lookups);
  const find = await findInDatabase(tx, userId, lookups);
  return drafts.map((draft) => completeExample(mode, draft, find));
}

async function insertVersions(point: FoldPoint, made: readonly MadeExample[]): Promise<void> {
  const { tx, userId, mode, seq } = point;
  const keys = await keysOf(tx, userId);
  const versions = made.map((example) => ({ id: randomUUID(), example }));
  const rows = versions.map(({ id, example }) =>
    sealRow(keys, 'examples', {
      id,
      userId,
      mode: mode.key,
      source: example.record.source,
      recordId: example.record.recordId,
      ordinal: example.ordinal,
      split: example.split,
      messages: example.messages,
      target: example.target,
      sha256: example.sha256,
      inputSha256: keys.tag(example.inputSha256),
      fromSeq: seq,
    }),
  );
  const records = versions.flatMap(({ id, example }) =>
    example.records.map((ref) => ({ exampleId: id, userId, ...ref })),
  );
  const lookups = versions.flatMap(({ id, example }) =>
    example.lookups.map(({ source, key }) => ({
      ...{ exampleId: id, userId, source },
      key: keys.tag(key),
    })),
  );
  for (const part of chunks(rows)) await tx.insertInto('examples').values(part).execute();
  for (const part of chunks(records)) await tx.insertInto('exampleRecords').values(part).execute();
  for (const part of chunks(lookups)) await tx.insertInto('exampleLookups').values(part).execute();
}

function chunks<T>(rows: readonly T[]): readonly T[][] {
  const count = Math.ceil(rows.length / ROWS_PER_INSERT);
  return Array.from({ length: count }, (_, i) =>
    rows.slice(i * ROWS_PER_INSERT, (i + 1) * ROWS_PER_INSERT),
  );
}
