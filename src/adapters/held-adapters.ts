// What the user's devices hold: per device and mode, the adapter it last acknowledged as installed.

import type { Expression, Selectable } from 'kysely';
import type { Db } from '../db/database.ts';
import type { AdapterRow, HeldAdaptersTable } from '../db/schema.ts';
import { AppError } from '../lib/errors.ts';

/** An adapter on a device. */
export type HeldAdapterRow = Selectable<HeldAdaptersTable>;

/** A device that was not seen for this long is taken for lost: 90 days. What is kept for it may be dropped; should it come
 *  back, it resyncs. */
export const DEVICE_LEASE_MS = 90 * 24 * 60 * 60 * 1000;

/** The ids of the adapters that the user's devices hold, those of lost devices left out, as a subquery. */
export function heldByLiveDevices(db: Db, userId: string | Expression<string>, now: Date) {
  return db
    .selectFrom('heldAdapters')
    .innerJoin('devices', 'devices.id', 'heldAdapters.deviceRowId')
    .select('heldAdapters.adapterId')
    .where('heldAdapters.userId', '=', userId)
    .where('devices.lastSeenAt', '>', new Date(now.getTime() - DEVICE_LEASE_MS));
}

/** What these devices of the user hold, by mode. */
export async function heldAdapters(
  db: Db,
  userId: string,
  deviceRowIds: readonly string[],
): Promise<HeldAdapterRow[]> {
  if (deviceRowIds.length === 0) return [];
  return await db
    .selectFrom('heldAdapters')
    .selectAll()
    .where('userId', '=', userId)
    .where('deviceRowId', 'in', deviceRowIds)
    .orderBy('mode')
    .execute();
}

/** The adapter of the mode that the user's device holds. Throws NOT_FOUND for an unknown device and for one that holds
 *  none, CONFLICT when what it holds was revoked. */
export async function heldBy(
  db: Db,
  userId: string,
  deviceId: string,
  mode: string,
): Promise<AdapterRow> {
  const device = JSON.stringify(deviceId);
  const held = await db
    .selectFrom('devices')
    .leftJoin('heldAdapters', (join) =>
      join.onRef('heldAdapters.deviceRowId', '=', 'devices.id').on('heldAdapters.mode', '=', mode),
    )
    .leftJoin('adapters', 'adapters.id', 'heldAdapters.adapterId')
    .selectAll('adapters')
    .where('devices.userId', '=', userId)
    .where('devices.deviceId', '=', deviceId)
    .executeTakeFirst();
  if (held === undefined) throw new AppError('NOT_FOUND', `No device ${device} is registered.`);
  if (held.id === null) {
    throw new AppError('NOT_FOUND', `Device ${device} holds no adapter of mode ${mode}.`);
  }
  if (held.status === 'REVOKED') {
    const what = `The adapter of mode ${mode} on device ${device} was revoked`;
    throw new AppError('CONFLICT', `${what}; ask without heldByDevice until it has the next one.`);
  }
  return held as AdapterRow;
}
