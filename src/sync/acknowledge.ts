import { adaptersById } from '../adapters/registry.ts';
import { findDevice, touchDevice } from '../changes/devices.ts';
import type { Db, Tx } from '../db/database.ts';
import type { AdapterRow, DeviceRow } from '../db/schema.ts';
import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';

/** A device's word on an adapter. */
export interface Acknowledgement {
  readonly deviceId: string;
  readonly adapterId: string;
  /** FAILED: it could not be installed, so the device holds what it held. */
  readonly state: 'INSTALLED' | 'REMOVED' | 'FAILED';
}

/** Records what a device holds; safe to repeat. Throws NOT_FOUND for a device or an adapter that the user does not have,
 *  and CONFLICT for installing what was revoked or never published. */
export async function acknowledgeAdapter(
  deps: { readonly db: Db; readonly clock: Clock },
  userId: string,
  { deviceId, adapterId, state }: Acknowledgement,
): Promise<DeviceRow> {
  const now = new Date(deps.clock.now());
  return await deps.db.transaction().execute(async (tx) => {
    // a revocation is either seen here or comes after
    await lockUser(tx, userId);
    const device = await findDevice(tx, userId, deviceId);
    const [adapter] = await adaptersById(tx, userId, [adapterId]);
    if (adapter === undefined) throw new AppError('NOT_FOUND', 'You have no adapter with this id.');
    if (state === 'INSTALLED') await hold(tx, device, adapter, now);
    if (state === 'REMOVED') await letGo(tx, device, adapter);
    await touchDevice(tx, device.id, now);
    return { ...device, lastSeenAt: now };
  });
}

async function hold(tx: Tx, device: DeviceRow, adapter: AdapterRow, now: Date): Promise<void> {
  const { id: adapterId, mode, version, status } = adapter;
  if (status === 'REVOKED' || status === 'REJECTED') {
    const what = `Version ${version} of ${mode} is ${status}`;
    throw new AppError('CONFLICT', `${what}: remove it and read the feed for what to install.`);
  }
  await tx
    .insertInto('heldAdapters')
    .values({ deviceRowId: device.id, userId: device.userId, mode, adapterId, since: now })
    .onConflict((conflict) =>
      conflict
        .columns(['deviceRowId', 'mode'])
        .doUpdateSet({ adapterId, since: now })
        // a repeated word does not make it newer
        .where('heldAdapters.adapterId', '!=', adapterId),
    )
    .execute();
}

async function letGo(tx: Tx, device: DeviceRow, adapter: AdapterRow): Promise<void> {
  await tx
    .deleteFrom('heldAdapters')
    .where('deviceRowId', '=', device.id)
    .where('adapterId', '=', adapter.id)
    .execute();
}
