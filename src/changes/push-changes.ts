// A device's changes go into the change log: each once, in the device's order, with a place in the user's order.
// One transaction holds the changes, the stored answers, what a delete withdraws, what is noted of states that are written
// over, and the runs that are now due.

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
import { liveRecords } from './context.ts';
import type { LiveRecord } from './core/find-records.ts';
import { passingStates } from './core/passing-states.ts';
import { type RecordRef, refName } from './core/record-ref.ts';
import { findDevice } from './devices.ts';
import { answersOf, type ChangeResult, repeatAnswers } from './stored-answers.ts';
import { writeLookups } from './write-lookups.ts';

/** What pushing needs. */
export interface PushDeps {
  readonly db: Db;
  readonly catalog: SourceCatalog;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Notes of states that another state replaces what the delete of their record will have to find, in the same
   *  transaction. */
  onOverwrite(tx: Tx, userId: string, states: readonly LiveRecord[]): Promise<void>;
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
  const requireDevice = () => deps.db.transaction().execute((tx) => findDeviceOf(tx, device));
  const acceptance = await acceptAll(deps, device, changes).catch(async (error) => {
    // who was erased has no keys: what is said of that is the user's to read
    await requireDevice();
    throw error;
  });
  if (acceptance !== null) return acceptance;
  await requireDevice();
  // registered just now
  return applyChanges(deps, device, changes);
}

/** Changes of records that are new are one call of the database. */
async function acceptAll(
  deps: PushDeps,
  device: DeviceName,
  changes: readonly PreparedChange[],
): Promise<Acceptance | null> {
  if (!needsMore(deps, applicableOf(changes))) {
    const push = { changes, mayReplace: false };
    const acceptance = await deps.db.connection().execute((db) => accept(deps, db, device, push));
    if (!acceptance?.replaces) return acceptance;
  }
  return deps.db.transaction().execute((tx) => acceptWithMore(deps, tx, device, changes));
}

function needsMore({ catalog }: PushDeps, changes: readonly PreparedChange[]): boolean {
  const isSimple = ({ source, data }: PreparedChange) =>
    data !== null && catalog.lookupFields(source).length === 0;
  return !changes.every(isSimple) || newestOf(changes).length < changes.length;
}

/** The keys are asked for when there is a connection, which may be waited for: they are believed for a while only. */
async function accept(
  { catalog, clock }: PushDeps,
  db: Db,
  device: DeviceName,
  { changes, mayReplace }: { changes: readonly PreparedChange[]; mayReplace: boolean },
): Promise<Acceptance | null> {
  // no device has such a name, and the database cannot even be asked
  if (textFlaw(device.deviceId) !== null) return null;
  const keys = await keysOf(db, device.userId);
  const modes = modesChangedBy(catalog, changes);
  return acceptPush(db, keys, device, { changes, modes, mayReplace, now: new Date(clock.now()) });
}

/** With what becomes of the states that are replaced, and with what records are found by. */
async function acceptWithMore(
  deps: PushDeps,
  tx: Tx,
  device: DeviceName,
  changes: readonly PreparedChange[],
): Promise<Acceptance | null> {
  const { userId } = device;
  const { lastMutationId } = await findDeviceOf(tx, device);
  const applicable = applicableOf(changes);
  if (changes[0]?.mutationId === lastMutationId + 1) await endStates(deps, tx, userId, applicable);
  const acceptance = await accept(deps, tx, device, { changes, mayReplace: true });
  if (acceptance?.isApplied) {
    const { lookupFields } = deps.catalog;
    const states = newestOf(applicable);
    await writeLookups(tx, await keysOf(tx, userId), { userId, states, lookupFields });
  }
  return acceptance;
}

/** What a delete withdraws is all that came before it, also in the same push. */
async function endStates(
  deps: PushDeps,
  tx: Tx,
  userId: string,
  changes: readonly PreparedChange[],
): Promise<void> {
  const deleted = changes.filter(({ data }) => data === null);
  const names = new Set(deleted.map(refName));
  const kept = changes.filter((change) => !names.has(refName(change)));
  const { early, late } = passingStates(changes);
  const overwritten = [...(await liveRecords(tx, userId, kept)), ...early];
  if (overwritten.length > 0) await deps.onOverwrite(tx, userId, overwritten);
  if (deleted.length > 0) await deps.onDelete(tx, userId, deleted);
  if (late.length > 0) await deps.onOverwrite(tx, userId, late);
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
