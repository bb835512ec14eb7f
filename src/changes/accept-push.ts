// One call of the database takes a push: the function `accept_push` of its own (db/migrations). Everything that it writes is made
// and sealed before, so that it locks the user for as short a time as it can.

import { sql } from 'kysely';
import type { Db } from '../db/database.ts';
import { type PushResults, sealRow } from '../db/sealed-columns.ts';
import { columnOf, sqlArray } from '../db/sql-array.ts';
import { currentTrace } from '../lib/trace.ts';
import type { UserKeys } from '../sealing/user-keys.ts';
import type { PreparedChange } from './change.ts';
import { refName } from './core/record-ref.ts';

/** A device by its user and its own name. */
export interface DeviceName {
  readonly userId: string;
  readonly deviceId: string;
}

/** What became of a push. */
export interface Acceptance {
  /** False: its first change is not the one that is next, or it `replaces`; nothing was done. */
  readonly isApplied: boolean;
  /** It is the next one, and would write over a record that is not deleted, which it may not. */
  readonly replaces: boolean;
  /** The first of the places in the user's order that its changes were given. */
  readonly firstChangeSeq: number;
  /** The device's newest mutationId now. */
  readonly newestMutationId: number;
  /** How many runs now wait to be handed to the queue: not those that waited before. */
  readonly owedCount: number;
}

/** Applies the changes, stores the answers to them, moves the device on and asks for runs of the modes, in one transaction:
 *  the caller's, or one of its own. Null, and nothing is done, when the user was erased or has no such device (any more).
 *  Without changes it only notes that the device was heard of. */
export async function acceptPush(
  db: Db,
  keys: UserKeys,
  { userId, deviceId }: DeviceName,
  {
    changes,
    modes,
    mayReplace,
    now,
  }: {
    changes: readonly PreparedChange[];
    modes: readonly string[];
    /** Whether states of records that are not deleted may be replaced. */
    mayReplace: boolean;
    now: Date;
  },
): Promise<Acceptance | null> {
  const firstMutationId = changes[0]?.mutationId ?? 0;
  const answers = { deviceId, firstMutationId, results: resultsOf(changes) };
  const { results } = sealRow(keys, 'pushes', answers);
  const applied = changes.filter(({ reason }) => reason === null);
  const records = newestOf(applied).map((record) => sealRow(keys, 'records', record));
  const { rows } = await sql<Acceptance | { isApplied: null }>`select * from accept_push(
    ${userId}, ${deviceId}, ${now}, ${firstMutationId}, ${changes.length}, ${applied.length}, ${results},
    ${columnOf(records, 'source', 'text')}, ${columnOf(records, 'recordId', 'text')},
    ${columnOf(records, 'data', 'bytea')}, ${columnOf(records, 'occurredAt', 'timestamptz')},
    ${columnOf(records, 'place', 'integer')},
    ${sqlArray('text', modes)}, ${currentTrace()}, ${mayReplace})`.execute(db);
  const [acceptance] = rows;
  return acceptance === undefined || acceptance.isApplied === null ? null : acceptance;
}

function resultsOf(changes: readonly PreparedChange[]): PushResults {
  const hashes = Buffer.from(changes.map(({ payloadSha256 }) => payloadSha256).join(''), 'hex');
  const reasons = changes.flatMap(({ reason }, place) =>
    reason === null ? [] : [[place, reason]],
  );
  return { hashes: hashes.toString('base64'), reasons: Object.fromEntries(reasons) };
}

type RecordChange = Pick<PreparedChange, 'source' | 'recordId' | 'data' | 'occurredAt'> & {
  readonly place: number;
};

/** The state in which the changes leave each record, with its change's place among them: of several changes to one record the
 *  last one wins, and one statement may touch a row only once. */
export function newestOf(changes: readonly PreparedChange[]): RecordChange[] {
  const newest = new Map<string, RecordChange>();
  for (const [place, { source, recordId, data, occurredAt }] of changes.entries())
    newest.set(refName({ source, recordId }), { source, recordId, data, occurredAt, place });
  return [...newest.values()];
}
