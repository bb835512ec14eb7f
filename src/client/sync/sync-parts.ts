import { KnownModes } from '../answers/known-modes.ts';
import { WantedBase } from '../answers/wanted-base.ts';
import { Api, type DeviceName, type ServerAccess } from '../api.ts';
import type { DeviceStorage } from '../storage/storage.ts';
import { Learnt } from '../training/learnt.ts';
import { LocalRecords } from '../training/local-records.ts';
import { TrainedShelf } from '../training/trained.ts';
import type { OnProgress } from './download.ts';
import { Outbox } from './outbox.ts';
import { Ratings } from './ratings.ts';
import { Reports } from './reports.ts';
import { ShelfKeeper } from './shelf-keeper.ts';
import { Trust, type TrustOptions } from './trust.ts';

/** Everything that a pass works on. */
export interface SyncParts {
  readonly device: DeviceName;
  readonly api: Api;
  readonly storage: DeviceStorage;
  readonly outbox: Outbox;
  readonly shelf: ShelfKeeper;
  readonly reports: Reports;
  readonly ratings: Ratings;
  readonly base: WantedBase;
  readonly trust: Trust;
  readonly modes: KnownModes;
  /** What this device learns from by itself. */
  readonly records: LocalRecords;
  readonly trained: TrainedShelf;
  readonly learnt: Learnt;
  readonly onProgress: OnProgress;
}

/** The parts of a device on this storage, for this server. */
export function createSyncParts(
  device: DeviceName,
  storage: DeviceStorage,
  access: ServerAccess,
  {
    onProgress = () => undefined,
    ...trust
  }: TrustOptions & {
    onProgress?: OnProgress | undefined;
  },
): SyncParts {
  const api = new Api(access);
  const reports = new Reports(storage);
  return {
    device,
    api,
    storage,
    outbox: new Outbox(storage),
    shelf: new ShelfKeeper(storage),
    reports,
    ratings: new Ratings(storage, reports),
    base: new WantedBase(storage),
    trust: new Trust(storage, api, trust),
    modes: new KnownModes(storage),
    records: new LocalRecords(storage),
    trained: new TrainedShelf(storage),
    learnt: new Learnt(storage),
    onProgress,
  };
}
