// A device's changes go into the change log: each once, in the device's order, with a place in the user's order.
// One transaction holds the changes, the stored answers, what a delete withdraws, and the runs that are now due.

import type { Db, Tx } from '../db/database.ts';
import type { DeviceRow } from '../db/schema.ts';
import { keysOf } from '../db/sealed-columns.ts';
import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { textFlaw } from '../lib/storable.ts';
import { traced } from '../lib/trace.ts';
import { feedTopic, OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import { type Acceptance, acceptPush, type DeviceName, newestOf } from './accept-push.ts';
import {
  type ChangeInput,
  type PreparedChange,
  prepareChanges,
  type SourceCatalog,
} from './change.ts';
import type { RecordRef } from './core/record-ref.ts';
import { findDevice } from './devices.ts';
import { answersOf, type ChangeResult, repeatAnswers } from './stored-answers.ts';
import { writeLookups } from './write-lookups.ts';

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
  const device = { userId, deviceId: push.deviceId };
  return await traced('push changes', { ids: { userId, changes: changes.length } }, () =>
    answerPush(deps, device, changes),
  );
}

async function answerPush(
  deps: PushDeps,
  device: DeviceName,
  changes: readonly PreparedChange[],
): Promise<PushResult> {
  const repeated: ChangeResult[] = [];
  for (let fresh = changes; ; fresh = changes.slice(repeated.length)) {
    const acceptance = await applyChanges(deps, device, fresh);
    const { isApplied, firstChangeSeq, newestMutationId } = acceptance;
    const isNext = ({ mutationId }: PreparedChange) => mutationId > newestMutationId;
    if (isApplied) {
      wakeAfter(deps, device.userId, { acceptance, changes: fresh });
      const results = [...repeated, ...answersOf(fresh, firstChangeSeq)];
      const affectedModes = modesChangedBy(deps.catalog, fresh);
      return { kind: 'accepted', results, lastMutationId: newestMutationId, affectedModes };
    }
    const [first] = fresh;
    if (first !== undefined && isNext(first))
      return { kind: 'gap', expectedMutationId: newestMutationId + 1 };
    // what was answered stays so, and the device only moves on: the rest may be tried again
    const seen = fresh.filter((change) => !isNext(change));
    repeated.push(...(await repeatAnswers(deps.db, device, seen)));
  }
}

/** Who waits for a run looks when there is a new one; a delete may also have withdrawn adapters, and asked for runs. */
function wakeAfter(
  { wakeups }: PushDeps,
  userId: string,
  {
    acceptance: { owedCount },
    changes,
  }: { acceptance: Acceptance; changes: readonly PreparedChange[] },
): void {
  const hasDeleted = applicableOf(changes).some(({ data }) => data === null);
  const runs = owedCount > 0 || hasDeleted ? [OUTBOX_TOPIC, runsTopic(userId)] : [];
  for (const topic of [...runs, ...(hasDeleted ? [feedTopic(userId)] : [])]) wakeups.wake(topic);
}

/** Applies what can be applied of changes, if the first of them is the next one. */
async function applyChanges(
  deps: PushDeps,
  device: DeviceName,
  changes: readonly PreparedChange[],
): Promise<Acceptance> {
  const needsMore = applicableOf(changes).some(
    ({ source, data }) => data === null || deps.catalog.lookupFields(source).length > 0,
  );
  const accepting = needsMore
    ? deps.db.transaction().execute((tx) => acceptWithMore(deps, tx, device, changes))
    : deps.db.connection().execute((db) => accept(deps, db, device, changes));
  const requireDevice = () => deps.db.transaction().execute((tx) => findDeviceOf(tx, device));
  const acceptance = await accepting.catch(async (error) => {
    // who was erased has no keys: what is said of that is the user's to read
    await requireDevice();
    throw error;
  });
  if (acceptance !== null) return acceptance;
  await requireDevice();
  // registered just now
  return applyChanges(deps, device, changes);
}

/** The keys are asked for when there is a connection, which may be waited for: they are believed for a while only. */
async function accept(
  { catalog, clock }: PushDeps,
  db: Db,
  device: DeviceName,
  changes: readonly PreparedChange[],
): Promise<Acceptance | null> {
  // no device has such a name, and the database cannot even be asked
  if (textFlaw(device.deviceId) !== null) return null;
  const keys = await keysOf(db, device.userId);
  const modes = modesChangedBy(catalog, changes);
  return acceptPush(db, keys, device, { changes, modes, now: new Date(clock.now()) });
}

/** With what a delete withdraws, and with what records are found by. */
async function acceptWithMore(
  deps: PushDeps,
  tx: Tx,
  device: DeviceName,
  changes: readonly PreparedChange[],
): Promise<Acceptance | null> {
  const { userId } = device;
  const { lastMutationId } = await findDeviceOf(tx, device);
  const applicable = applicableOf(changes);
  const deleted = applicable.filter(({ data }) => data === null);
  if (deleted.length > 0 && changes[0]?.mutationId === lastMutationId + 1)
    await deps.onDelete(tx, userId, deleted);
  const acceptance = await accept(deps, tx, device, changes);
  if (acceptance?.isApplied) {
    const { lookupFields } = deps.catalog;
    const states = newestOf(applicable);
    await writeLookups(tx, await keysOf(tx, userId), { userId, states, lookupFields });
  }
  return acceptance;
}

/** Throws UNAUTHENTICATED for an erased user, NOT_FOUND or FORBIDDEN for a device that is not registered or was revoked. */
async function findDeviceOf(tx: Tx, { userId, deviceId }: DeviceName): Promise<DeviceRow> {
  await lockUser(tx, userId);
  return findDevice(tx, userId, deviceId);
}

function applicableOf(changes: readonly PreparedChange[]): readonly PreparedChange[] {
  return changes.filter(({ reason }) => reason === null);
}

function modesChangedBy(catalog: SourceCatalog, changes: readonly PreparedChange[]): string[] {
  const sources = new Set(applicableOf(changes).map(({ source }) => source));
  const keys = [...sources].flatMap((source) => catalog.modesOf(source).map(({ key }) => key));
  return [...new Set(keys)];
}
