// A device's changes go into the change log: each once, in the device's order, with a place in the user's order.
// One transaction holds the changes, the stored answers, what a delete withdraws, and the runs that are now due.

import type { Db, Tx } from '../db/database.ts';
import type { DeviceRow } from '../db/schema.ts';
import { keysOf, openRowsWith } from '../db/sealed-columns.ts';
import { lockUser, nextChangeSeq } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { must } from '../lib/errors.ts';
import { traced } from '../lib/trace.ts';
import { feedTopic, OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import {
  type ChangeInput,
  type PreparedChange,
  prepareChanges,
  type SourceCatalog,
} from './change.ts';
import type { RecordRef } from './core/record-ref.ts';
import { findDevice, touchDevice } from './devices.ts';
import { queueRuns } from './queue-run.ts';
import { type NumberedChange, writeChanges } from './write-changes.ts';

/** What pushing needs. */
export interface PushDeps {
  readonly db: Db;
  readonly catalog: SourceCatalog;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Withdraws what was learned from records that are being deleted, in the same transaction; their rows still hold the
   *  old data. */
  onDelete(tx: Tx, userId: string, records: readonly RecordRef[]): Promise<void>;
}

/** The answer to one change. */
export interface ChangeResult {
  readonly mutationId: number;
  readonly outcome: 'APPLIED' | 'DUPLICATE' | 'REJECTED';
  readonly reason: string | null;
  readonly changeSeq: number | null;
}

/** The answer to a push: what became of each change, or the mutationId that is missing. */
export type PushResult =
  | {
      readonly kind: 'accepted';
      readonly results: readonly ChangeResult[];
      readonly lastMutationId: number;
      /** Keys of the modes that declare a source of an applied change. */
      readonly affectedModes: readonly string[];
    }
  | { readonly kind: 'gap'; readonly expectedMutationId: number };

/** Applies each change once, in mutationId order; repeating a push repeats its answers. After a gap nothing is applied.
 *  Throws NOT_FOUND for an unknown device, and as prepareChanges does. */
export async function pushChanges(
  deps: PushDeps,
  userId: string,
  push: { deviceId: string; changes: readonly ChangeInput[] },
): Promise<PushResult> {
  const changes = prepareChanges(deps.catalog, push.changes);
  const result = await traced('push changes', { ids: { userId, changes: changes.length } }, () =>
    deps.db
      .transaction()
      .execute((tx) => applyPush(deps, tx, userId, { deviceId: push.deviceId, changes })),
  );
  if (result.kind === 'accepted' && result.results.some(({ outcome }) => outcome === 'APPLIED')) {
    for (const topic of [OUTBOX_TOPIC, runsTopic(userId), feedTopic(userId)])
      deps.wakeups.wake(topic);
  }
  return result;
}

async function applyPush(
  deps: PushDeps,
  tx: Tx,
  userId: string,
  push: { deviceId: string; changes: readonly PreparedChange[] },
): Promise<PushResult> {
  await lockUser(tx, userId);
  // read after the lock, so that two pushes of one device see each other's lastMutationId
  const device = await findDevice(tx, userId, push.deviceId);
  const { lastMutationId } = device;
  const first = push.changes[0]?.mutationId ?? lastMutationId + 1;
  if (first > lastMutationId + 1) return { kind: 'gap', expectedMutationId: lastMutationId + 1 };

  const seen = push.changes.filter(({ mutationId }) => mutationId <= lastMutationId);
  const fresh = push.changes.slice(seen.length);
  return {
    kind: 'accepted',
    results: [
      ...(await repeatAnswers(tx, device, seen)),
      ...(await applyChanges(deps, tx, device, fresh)),
    ],
    lastMutationId: lastMutationId + fresh.length,
    affectedModes: modesChangedBy(deps.catalog, fresh),
  };
}

/** Applies what can be applied of changes that were never seen before. */
async function applyChanges(
  deps: PushDeps,
  tx: Tx,
  device: DeviceRow,
  changes: readonly PreparedChange[],
): Promise<readonly ChangeResult[]> {
  const now = new Date(deps.clock.now());
  if (changes.length === 0) {
    await touchDevice(tx, device.id, now);
    return [];
  }
  const applicable = changes.filter(({ reason }) => reason === null);
  const deleted = applicable.filter(({ data }) => data === null);
  if (deleted.length > 0) await deps.onDelete(tx, device.userId, deleted);
  const firstSeq = await nextChangeSeq(tx, device.userId, applicable.length);
  const numbered = numberChanges(changes, firstSeq);
  await writeChanges(tx, device, numbered, { now, lookupFields: deps.catalog.lookupFields });
  await queueRuns(tx, device.userId, modesChangedBy(deps.catalog, changes), { now });
  return numbered.map(({ mutationId, reason, changeSeq }) => {
    const outcome = changeSeq === null ? 'REJECTED' : 'APPLIED';
    return { mutationId, outcome, reason, changeSeq };
  });
}

function modesChangedBy(catalog: SourceCatalog, changes: readonly PreparedChange[]): string[] {
  const applicable = changes.filter(({ reason }) => reason === null);
  const sources = new Set(applicable.map(({ source }) => source));
  const keys = [...sources].flatMap((source) => catalog.modesOf(source).map(({ key }) => key));
  return [...new Set(keys)];
}

function numberChanges(changes: readonly PreparedChange[], firstSeq: number): NumberedChange[] {
  let nextSeq = firstSeq;
  return changes.map((change) => {
    if (change.reason !== null) return { ...change, changeSeq: null };
    nextSeq += 1;
    return { ...change, changeSeq: nextSeq - 1 };
  });
}

async function repeatAnswers(
  tx: Tx,
  device: DeviceRow,
  changes: readonly PreparedChange[],
): Promise<readonly ChangeResult[]> {
  const first = changes.at(0)?.mutationId;
  const last = changes.at(-1)?.mutationId;
  if (first === undefined || last === undefined) return [];
  const stored = await tx
    .selectFrom('mutations')
    .selectAll()
    .where('deviceRowId', '=', device.id)
    .where('mutationId', '>=', first)
    .where('mutationId', '<=', last)
    .execute();
  const keys = await keysOf(tx, device.userId);
  const opened = openRowsWith(keys, 'mutations', stored);
  const answers = new Map(opened.map((answer) => [answer.mutationId, answer]));
  return changes.map(({ mutationId, payloadSha256 }) => {
    const answer = must(answers.get(mutationId), 'every applied mutationId has a stored answer');
    const { reason, changeSeq } = answer;
    return answer.payloadSha256 === keys.tag(payloadSha256)
      ? { mutationId, outcome: 'DUPLICATE', reason, changeSeq }
      : { mutationId, outcome: 'REJECTED', reason: 'CONFLICT', changeSeq: null };
  });
}
