// The tables of what devices pushed: the devices, the answers to their changes, and the newest state of each record.

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

type ChangeOutcome = 'APPLIED' | 'REJECTED';

/** The stored answer to each mutationId of a device: what makes pushChanges safe to repeat. */
export interface MutationsTable {
  deviceRowId: string;
  mutationId: number;
  /** Keyed hash of the change's canonical JSON: another payload under the same id is a conflict. */
  payloadSha256: string;
  outcome: ChangeOutcome;
  reason: NullableSealedColumn;
  changeSeq: number | null;
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
