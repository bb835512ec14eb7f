import { randomUUID } from 'node:crypto';
import type { ChangeInput, SourceCatalog } from '../../src/changes/change.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { type PushDeps, type PushResult, pushChanges } from '../../src/changes/push-changes.ts';
import { ensureUser } from '../../src/changes/users.ts';
import type { Database, Db } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { NO_FORGETTING } from '../support/test-user.ts';

/** Notes need a text; `subject` learns from mail, `continue` from mail and notes, nothing from calendar. */
export const catalog: SourceCatalog = {
  sources: ['mail', 'notes', 'calendar'],
  validateRecord: (source, data) =>
    source === 'notes' && typeof (data as { text?: unknown }).text !== 'string'
      ? 'data.text must be string'
      : null,
  lookupFields: () => [],
  modesOf: (source) => {
    const modes = { mail: ['subject', 'continue'], notes: ['continue'] }[source] ?? [];
    return modes.map((key) => ({ key }));
  },
};

export const pushDeps = (db: Db): PushDeps => ({
  db,
  catalog,
  wakeups: openLocalWakeups(),
  clock: systemClock,
  ...NO_FORGETTING,
});

/** A user with one registered device, and a shorthand to push from it. */
export async function newPhone(database: Database, deps: PushDeps = pushDeps(database.kysely)) {
  const db = database.kysely;
  const { id: userId } = await ensureUser(db, randomUUID(), new Date());
  const deviceId = 'phone';
  await registerDevice(deps, userId, { deviceId, name: 'Phone', platform: 'test' });
  const push = (...changes: ChangeInput[]): Promise<PushResult> =>
    pushChanges(deps, userId, { deviceId, changes });
  return { db, userId, deviceId, push };
}

export const occurredAt = new Date('2026-05-06T07:08:09.010Z');

/** An upsert of mail `m<mutationId>`, unless told otherwise. */
export function upsert(mutationId: number, rest: Partial<ChangeInput> = {}): ChangeInput {
  const data = { subject: `number ${mutationId}` };
  const recordId = `m${mutationId}`;
  return { mutationId, source: 'mail', recordId, kind: 'UPSERT', data, occurredAt, ...rest };
}
