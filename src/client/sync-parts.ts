import { Api, type DeviceName, type ServerAccess } from './api.ts';
import type { OnProgress } from './download.ts';
import { Outbox } from './outbox.ts';
import { Reports } from './reports.ts';
import { ShelfKeeper } from './shelf-keeper.ts';
import type { DeviceStorage } from './storage.ts';
import { WantedBase } from './wanted-base.ts';

/** Everything that a pass works on. */
export interface SyncParts {
  readonly device: DeviceName;
  readonly api: Api;
  readonly storage: DeviceStorage;
  readonly outbox: Outbox;
  readonly shelf: ShelfKeeper;
  readonly reports: Reports;
  readonly base: WantedBase;
  readonly onProgress: OnProgress;
}

/** The parts of a device on this storage, for this server. */
export function createSyncParts(
  device: DeviceName,
  storage: DeviceStorage,
  access: ServerAccess,
  onProgress: OnProgress = () => undefined,
): SyncParts {
  return {
    device,
    api: new Api(access),
    storage,
    outbox: new Outbox(storage),
    shelf: new ShelfKeeper(storage),
    reports: new Reports(storage),
    base: new WantedBase(storage),
    onProgress,
  };
}
