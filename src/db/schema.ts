// The tables as Kysely sees them. Column names are snake_case in SQL and camelCase here (CamelCasePlugin).
// Every row that belongs to a user carries userId, and every query on it filters by it.

import type { ColumnType, Generated, Selectable } from 'kysely';

import type {
  CompletionRecordsTable,
  CompletionsTable,
  PreferencesTable,
} from './answer-tables.ts';
import type {
  DevicesTable,
  PushesTable,
  RecordLookupsTable,
  RecordsTable,
  RevokedDevicesTable,
} from './change-tables.ts';
import type { Jsonb, NullableJsonb, NullableTimestamp, Timestamp } from './columns.ts';

import type {
  DatasetsTable,
  ExampleBucketsTable,
  ExampleLookupsTable,
  ExampleRecordsTable,
  ExamplesTable,
  PastInputsTable,
} from './dataset-tables.ts';

import type { Lineage } from './lineage.ts';
import type { Opened } from './sealed-columns.ts';

/** Facts about the database itself, such as the base it was made with. Not `meta`: BullMQ has a table of that name. */
interface FactsTable {
  key: string;
  value: string;
}

/** A user exists from the first valid token with that `sub`. Its row is the lock for both counters. */
interface UsersTable {
  id: Generated<string>;
  /** Null once the user was erased: what is left then is an id, and the revocations that open sockets still wait for. */
  subject: string | null;
  /** The last changeSeq handed out; changes and ratings share this order. */
  changeSeq: Generated<number>;
  /** The last position in the user's adapter feed. */
  feedSeq: Generated<number>;
  /** The last position that was trimmed from the feed: a cursor that had not come so far has expired. */
  feedFloor: Generated<number>;
  /** Part of every cursor: a new epoch makes all older cursors resync. */
  feedEpoch: string;
  /** How often records were deleted: an answer that began before a delete is not kept after it. */
  forgetCount: Generated<number>;
  erasedAt: NullableTimestamp;
  createdAt: Timestamp;
}

/** What the reducer and the registry remember per (user, mode). */
interface ModeStatesTable {
  userId: string;
  mode: string;
  /** Changes up to here are folded into the examples. */
  foldedThrough: Generated<number>;
  /** The mode's `shapeSha256` when they were made: another one re-makes them all. */
  shapeSha256: string | null;
  /** The last adapter version handed out. */
  version: Generated<number>;
}

/** Where a run stands; the first two are not its end. */
export type RunStatus =
  | 'QUEUED'
  | 'RUNNING'
  | 'PUBLISHED'
  | 'REJECTED'
  | 'SKIPPED'
  | 'FAILED'
  | 'CANCELLED';

/** One training attempt. A QUEUED row is also the outbox entry: it commits with the change that asks for it. */
interface RunsTable {
  id: Generated<string>;
  /** Creation order, for paging. */
  seq: Generated<number>;
  userId: string;
  mode: string;
  status: RunStatus;
  /** True: asked for by `retrain`, so an unchanged dataset is no reason to skip. */
  forced: boolean;
  /** When the relay handed it to the queue; null: the relay still owes it. */
  enqueuedAt: NullableTimestamp;
  /** Fencing token: grows with every claim; only the newest claim may publish. */
  attempt: Generated<number>;
  step: Generated<number>;
  totalSteps: Generated<number>;
  losses: Jsonb<readonly number[]>;
  /** Of the last step; null before the first one. */
  learningRate: number | null;
  tokensPerSecond: number | null;
  /** An estimate; an early stop makes it too long. */
  secondsLeft: number | null;
  reason: string | null;
  datasetId: string | null;
  adapterId: string | null;
  queuedAt: Timestamp;
  startedAt: NullableTimestamp;
  finishedAt: NullableTimestamp;
  /** W3C traceparent of what first asked for the run. */
  trace: ColumnType<string | null, string | null | undefined, never>;
}

type AdapterStatus = 'LIVE' | 'REJECTED' | 'SUPERSEDED' | 'REVOKED';
type AdapterOrigin = 'SERVER' | 'DEVICE' | 'SHIPPED' | 'ROLLBACK';

/** A file of an adapter or a base, as the contract's File needs it. */
export interface StoredFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The contract's Evaluation. */
export interface Evaluation {
  readonly holdoutExamples: number;
  readonly loss: number | null;
  readonly baseLoss: number | null;
  readonly previousLoss: number | null;
  readonly preferenceAccuracy: number | null;
  readonly probeLoss: number | null;
  readonly baseProbeLoss: number | null;
  readonly passed: boolean;
  readonly reason: string;
}

/** Trained LoRAs, the users' and the shipped ones. */
export interface AdaptersTable {
  id: Generated<string>;
  /** Creation order, for paging. */
  seq: Generated<number>;
  /** Null: shipped with a mode, for everyone. */
  userId: string | null;
  mode: string;
  /** From 1; 0: rejected, so never published. */
  version: number;
  status: AdapterStatus;
  origin: AdapterOrigin;
  baseSha256: string;
  /** The adapter that was live when its run began, or that a rollback brought back. */
  parentId: string | null;
  /** The adapter whose weights it began from, a shipped one too; null: from nothing. */
  startedFromId: string | null;
  datasetId: string | null;
  runId: string | null;
  rank: number;
  /** SHA-256 of adapter_model.safetensors: the bytes' name in the blob store. */
  sha256: string;
  /** Empty when rejected: nothing is kept. */
  files: Jsonb<readonly StoredFile[]>;
  evaluation: NullableJsonb<Evaluation>;
  /** Null where it is not known: trained elsewhere. */
  lineage: NullableJsonb<Lineage>;
  /** Of the preferences it learnt from, the share about answers of the adapter that was live when its run began; null
   *  where there were none. */
  onPolicyShare: number | null;
  /** The dataset's changeSeq: the adapter knew every change up to here. */
  dataThrough: number | null;
  /** True once the files of a revoked adapter have been removed. */
  bytesGone: Generated<boolean>;
  createdAt: Timestamp;
}

/** What an event of the feed tells a device to do with the adapter: install it, remove it. */
export type FeedKind = 'READY' | 'REVOKED';

/** A user's ordered adapter events: the truth that notifications only hint at. */
interface FeedEventsTable {
  userId: string;
  seq: number;
  kind: FeedKind;
  mode: string;
  adapterId: string;
  reason: string | null;
  createdAt: Timestamp;
  /** W3C traceparent of what made the event. */
  trace?: string | null;
}

/** The adapter a device last acknowledged as installed, per mode. */
export interface HeldAdaptersTable {
  deviceRowId: string;
  userId: string;
  mode: string;
  adapterId: string;
  since: Timestamp;
}

/** All tables. */
export interface DatabaseSchema {
  facts: FactsTable;
  users: UsersTable;
  devices: DevicesTable;
  revokedDevices: RevokedDevicesTable;
  pushes: PushesTable;
  records: RecordsTable;
  recordLookups: RecordLookupsTable;
  examples: ExamplesTable;
  exampleRecords: ExampleRecordsTable;
  exampleLookups: ExampleLookupsTable;
  exampleBuckets: ExampleBucketsTable;
  pastInputs: PastInputsTable;
  datasets: DatasetsTable;
  modeStates: ModeStatesTable;
  runs: RunsTable;
  adapters: AdaptersTable;
  feedEvents: FeedEventsTable;
  heldAdapters: HeldAdaptersTable;
  completions: CompletionsTable;
  completionRecords: CompletionRecordsTable;
  preferences: PreferencesTable;
}

/** A user. */
export type UserRow = Selectable<UsersTable>;
/** A user's device. */
export type DeviceRow = Opened<'devices', Selectable<DevicesTable>>;
/** A device whose tokens are no longer taken. */
export type RevokedDeviceRow = Selectable<RevokedDevicesTable>;
/** The newest state of one of a user's records. */
export type RecordRow = Opened<'records', Selectable<RecordsTable>>;
/** A dataset by name and size. */
export type DatasetRow = Selectable<DatasetsTable>;
/** A training run. */
export type RunRow = Selectable<RunsTable>;
/** An adapter. */
export type AdapterRow = Selectable<AdaptersTable>;
/** A completion and its rating; its text is empty once it was erased. */
export type CompletionRow = Omit<Opened<'completions', Selectable<CompletionsTable>>, 'text'> & {
  readonly text: string;
};
