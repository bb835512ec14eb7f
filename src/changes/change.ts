// A change as a device pushes it, and what is known of it before the database is asked: its payload's name and whether
// it can be applied at all. Pure.

import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import { AppError } from '../lib/errors.ts';
import { sha256 } from '../lib/sha256.ts';
import { jsonFlaw, textFlaw } from '../lib/storable.ts';

/** Most changes in one push: one transaction's worth. */
const MAX_CHANGES = 1000;

/** Most bytes in one push, as canonical JSON: 4 MB, counted generously. */
const MAX_PUSH_BYTES = 4 * 1024 * 1024;

/** Longer than any message id in use, short enough for an index. */
const MAX_RECORD_ID_CHARS = 1000;

/** One upsert or delete of a record, as the contract's ChangeInput. */
export interface ChangeInput {
  readonly mutationId: number;
  readonly source: string;
  readonly recordId: string;
  readonly kind: 'UPSERT' | 'DELETE';
  readonly data?: Json | undefined;
  readonly occurredAt: Date;
}

/** What this stage asks of the catalog of modes and sources. */
export interface SourceCatalog {
  /** Every source that has a schema. */
  readonly sources: readonly string[];
  /** Why the data is no record of the source, naming the field; null when it is one. */
  validateRecord(source: string, data: Json): string | null;
  /** The fields by which modes look for records of the source. */
  lookupFields(source: string): readonly string[];
  /** The modes that declare the source. */
  modesOf(source: string): readonly { readonly key: string }[];
}

/** A change that can be applied or answered without another look at its payload. */
export interface PreparedChange {
  readonly mutationId: number;
  readonly source: string;
  readonly recordId: string;
  /** The record's new state; null: deleted. */
  readonly data: Json;
  readonly occurredAt: Date;
  /** Names the payload: the same id with another one is a conflict. */
  readonly payloadSha256: string;
  /** Why it cannot be applied; null when it can. */
  readonly reason: string | null;
}

/** Checks a push as a whole and each change for itself.
 *  Throws TOO_LARGE over 1,000 changes or 4 MB, BAD_INPUT when mutationIds are not contiguous from 1 or more. */
export function prepareChanges(
  catalog: SourceCatalog,
  changes: readonly ChangeInput[],
): readonly PreparedChange[] {
  if (changes.length > MAX_CHANGES) {
    const advice = `send at most ${MAX_CHANGES} at a time`;
    throw new AppError('TOO_LARGE', `The push has ${changes.length} changes; ${advice}.`);
  }
  checkNumbering(changes);
  let sizeBytes = 0;
  return changes.map((change) => {
    const flaw = jsonFlaw(change.data ?? null, 'data');
    // an unstorable value may be too deep to be written out; what is wrong with it stands for it
    const payload = payloadText(change, flaw ?? change.data ?? null);
    sizeBytes += Buffer.byteLength(payload);
    if (sizeBytes > MAX_PUSH_BYTES) throw tooLarge(change.mutationId);
    return {
      ...change,
      data: change.kind === 'UPSERT' ? (change.data ?? null) : null,
      payloadSha256: sha256(payload),
      reason: refusal(catalog, change, flaw),
    };
  });
}

function tooLarge(mutationId: number): AppError {
  const limit = `${MAX_PUSH_BYTES} bytes`;
  return new AppError(
    'TOO_LARGE',
    `The push is over ${limit} at mutationId ${mutationId}; send fewer or smaller changes at a time.`,
  );
}

function checkNumbering(changes: readonly ChangeInput[]): void {
  let expected = changes[0]?.mutationId ?? 1;
  if (expected < 1) throw new AppError('BAD_INPUT', `mutationId is ${expected}; it starts at 1.`);
  for (const { mutationId } of changes) {
    if (mutationId !== expected) {
      const what = `mutationId ${mutationId} follows ${expected - 1}`;
      throw new AppError('BAD_INPUT', `${what}; within a push they are contiguous.`);
    }
    expected += 1;
  }
}

function payloadText(change: ChangeInput, data: Json): string {
  const { source, recordId, kind } = change;
  // the number, because toISOString throws on an invalid date
  const occurredAt = change.occurredAt.getTime();
  return canonicalJson({ source, recordId, kind, data, occurredAt });
}

function refusal(
  catalog: SourceCatalog,
  change: ChangeInput,
  dataFlaw: string | null,
): string | null {
  const { source, recordId, occurredAt } = change;
  if (!catalog.sources.includes(source)) {
    return `source ${JSON.stringify(source)} is unknown; it must be one of ${catalog.sources.join(', ')}`;
  }
  if (recordId.length === 0 || recordId.length > MAX_RECORD_ID_CHARS) {
    return `recordId must have from 1 to ${MAX_RECORD_ID_CHARS} characters; it has ${recordId.length}`;
  }
  const idFlaw = textFlaw(recordId);
  if (idFlaw !== null) return `recordId ${idFlaw}`;
  if (!isStorableDate(occurredAt)) return 'occurredAt must be a date in the years 1 to 9999';
  if (change.kind === 'DELETE') return null;
  if (change.data === undefined || change.data === null) return 'data is required for an UPSERT';
  return dataFlaw ?? catalog.validateRecord(source, change.data);
}

function isStorableDate(date: Date): boolean {
  const year = date.getUTCFullYear();
  return year >= 1 && year <= 9999;
}
