// The installations of the client that a user has registered.

import type { Db } from '../db/database.ts';
import type { DeviceRow } from '../db/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { textFlaw } from '../lib/storable.ts';

/** Long enough for a UUID with a prefix, short enough for an index. */
const MAX_NAME_CHARS = 200;

/** How a device introduces itself. */
export interface DeviceIntroduction {
  /** The device's own name, unique within the user. */
  readonly deviceId: string;
  readonly name: string;
  readonly platform: string;
}

/** Registers the device, or renames it when it was registered before; its lastMutationId stays. */
export async function registerDevice(
  deps: { readonly db: Db; readonly clock: Clock },
  userId: string,
  introduction: DeviceIntroduction,
): Promise<DeviceRow> {
  const { deviceId, name, platform } = introduction;
  const now = new Date(deps.clock.now());
  checkName('deviceId', deviceId);
  checkName('name', name);
  checkName('platform', platform);
  return await deps.db
    .insertInto('devices')
    .values({ userId, deviceId, name, platform, lastSeenAt: now })
    .onConflict((conflict) =>
      conflict.columns(['userId', 'deviceId']).doUpdateSet({ name, platform, lastSeenAt: now }),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

function checkName(field: string, text: string): void {
  const flaw =
    text.length === 0 || text.length > MAX_NAME_CHARS
      ? `must have from 1 to ${MAX_NAME_CHARS} characters; it has ${text.length}`
      : textFlaw(text);
  if (flaw !== null) throw new AppError('BAD_INPUT', `${field} ${flaw}.`);
}

/** The user's device of that name. Throws NOT_FOUND naming it and the remedy. */
export async function findDevice(db: Db, userId: string, deviceId: string): Promise<DeviceRow> {
  const named = db
    .selectFrom('devices')
    .selectAll()
    .where('userId', '=', userId)
    .where('deviceId', '=', deviceId);
  const device = textFlaw(deviceId) === null ? await named.executeTakeFirst() : undefined;
  if (device !== undefined) return device;
  throw new AppError(
    'NOT_FOUND',
    `No device ${JSON.stringify(deviceId)} is registered; call registerDevice first.`,
  );
}

/** Notes that the device was heard of. */
export async function touchDevice(db: Db, deviceRowId: string, now: Date): Promise<void> {
  await db.updateTable('devices').set({ lastSeenAt: now }).where('id', '=', deviceRowId).execute();
}

/** The user's devices, by name. */
export function listDevices(db: Db, userId: string): Promise<DeviceRow[]> {
  return db
    .selectFrom('devices')
    .selectAll()
    .where('userId', '=', userId)
    .orderBy('deviceId')
    .execute();
}

/** Those of the rows that are the user's devices, in no order. */
export async function devicesById(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<DeviceRow[]> {
  if (ids.length === 0) return [];
  return await db
    .selectFrom('devices')
    .selectAll()
    .where('userId', '=', userId)
    .where('id', 'in', ids)
    .execute();
}
