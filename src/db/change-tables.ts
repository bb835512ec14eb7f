// The tables of what devices pushed: the devices, the answers to their pushes, and the newest state of each record.

import type { Generated } from 'kysely';
import type { NullableSealedColumn, SealedColumn, Timestamp } from './columns.ts';

/** The installations of the client. */
export interface DevicesTable {
  id: Generated<string>;
  userId: string;
  /** The device's own name, unique within the user. */
  deviceId: string;
  name: SealedColumn;
  platform: string;
  lastMutationId: Generated<number>;
  lastSeenAt: Timestamp;
}

/** A device whose tokens are no longer taken. */
export interface RevokedDevicesTable {
  /** The order in which servers hear of them. */
  seq: Generated<number>;
  userId: string;
  deviceId: string;
  revokedAt: Timestamp;
}

/** The stored answers to each push that was taken: what makes pushChanges safe to repeat. Written by `accept_push`. */
export interface PushesTable {
  userId: string;
  /** The device's own name. */
  deviceId: string;
  firstMutationId: number;
  changeCount: number;
  /** The place in the user's order of the first change that was not rejected; the others have the next ones. */
  firstChangeSeq: number;
  results: SealedColumn;
}

/** The newest state of each record; a delete leaves a tombstone (data null) so that folding sees it. */
export interface RecordsTable {
  id: Generated<string>;
  userId: string;
  source: string;
  recordId: string;
  data: NullableSealedColumn;
  deleted: boolean;
  changeSeq: number;
  occurredAt: Timestamp;
}

/** By what a record is found, for the modes that look for it. */
export interface RecordLookupsTable {
  userId: string;
  source: string;
  recordId: string;
  field: string;
  /** Keyed hash of the `lookupKey` of the field's value. */
  key: string;
}
