// The installations of the client that a user has registered.

import type { Db } from '../db/database.ts';
import type { DeviceRow } from '../db/schema.ts';
import { keysOf, openRow, openRows, sealRow } from '../db/sealed-columns.ts';
import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError, must } from '../lib/errors.ts';
import { textFlaw } from '../lib/storable.ts';
import { isRevoked, revoked } from './revoked-devices.ts';

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
  checkDeviceText('deviceId', deviceId);
  checkDeviceText('name', name);
  checkDeviceText('platform', platform);
  if (await isRevoked(deps.db, userId, deviceId)) throw revoked(deviceId);
  return await deps.db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    const row = { userId, deviceId, name, platform, lastSeenAt: now };
    const sealed = sealRow(await keysOf(tx, userId), 'devices', row);
    const stored = await tx
      .insertInto('devices')
      .values(sealed)
      .onConflict((conflict) =>
        conflict
          .columns(['userId', 'deviceId'])
          .doUpdateSet({ name: sealed.name, platform, lastSeenAt: now }),
      )
      .returningAll()
      .executeTakeFirstOrThrow();
    return must(await openRow(tx, 'devices', userId, stored), 'the device that was stored');
  });
}

/** Throws BAD_INPUT for a text that no device has as its name or platform. */
export function checkDeviceText(field: string, text: string): void {
  const flaw =
    text.length === 0 || text.length > MAX_NAME_CHARS
      ? `must have from 1 to ${MAX_NAME_CHARS} characters; it has ${text.length}`
      : textFlaw(text);
  if (flaw !== null) throw new AppError('BAD_INPUT', `${field} ${flaw}.`);
}

/** The user's device of that name. Throws NOT_FOUND naming it and the remedy, FORBIDDEN when it was revoked. */
export async function findDevice(db: Db, userId: string, deviceId: string): Promise<DeviceRow> {
  const named = db
    .selectFrom('devices')
    .leftJoin('revokedDevices', (join) =>
      join
        .onRef('revokedDevices.userId', '=', 'devices.userId')
        .onRef('revokedDevices.deviceId', '=', 'devices.deviceId'),
    )
    .selectAll('devices')
    .select('revokedDevices.revokedAt')
    .where('devices.userId', '=', userId)
    .where('devices.deviceId', '=', deviceId);
  const row = textFlaw(deviceId) === null ? await named.executeTakeFirst() : undefined;
  const device = await openRow(db, 'devices', userId, row);
  if (device !== undefined) {
    const { revokedAt, ...found } = device;
    if (revokedAt !== null) throw revoked(deviceId);
    return found;
  }
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
export async function listDevices(db: Db, userId: string): Promise<DeviceRow[]> {
  const rows = await db
    .selectFrom('devices')
    .selectAll()
    .where('userId', '=', userId)
    .orderBy('deviceId')
    .execute();
  return openRows(db, 'devices', userId, rows);
}

/** Those of the rows that are the user's devices, in no order. */
export async function devicesById(
  db: Db,
  userId: string,
  ids: readonly string[],
): Promise<DeviceRow[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('devices')
    .selectAll()
    .where('userId', '=', userId)
    .where('id', 'in', ids)
    .execute();
  return openRows(db, 'devices', userId, rows);
}
