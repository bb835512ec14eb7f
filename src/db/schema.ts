// The tables as Kysely sees them. Column names are snake_case in SQL and camelCase here (CamelCasePlugin).
// Every row that belongs to a user carries userId, and every query on it filters by it.

import type { Generated, Selectable } from 'kysely';
import type { Json } from '../lib/canonical-json.ts';
import type { Jsonb, NullableJsonb, NullableTimestamp, Timestamp } from './columns.ts';
import type {
  DatasetsTable,
  ExampleLookupsTable,
  ExampleRecordsTable,
  ExamplesTable,
} from './dataset-tables.ts';

/** Facts about the database itself, such as the base it was made with. Not `meta`: BullMQ has a table of that name. */
interface FactsTable {
  key: string;
  value: string;
}

/** A user exists from the first valid token with that `sub`. Its row is the lock for both counters. */
interface UsersTable {
  id: Generated<string>;
  subject: string;
  /** The last changeSeq handed out; changes and ratings share this order. */
  changeSeq: Generated<number>;
  /** The last position in the user's adapter feed. */
  feedSeq: Generated<number>;
  /** Part of every cursor: a new epoch makes all older cursors resync. */
  feedEpoch: string;
  createdAt: Timestamp;
}

interface DevicesTable {
  id: Generated<string>;
  userId: string;
  /** The device's own name, unique within the user. */
  deviceId: string;
  name: string;
  platform: string;
  lastMutationId: Generated<number>;
  lastSeenAt: Timestamp;
}

type ChangeOutcome = 'APPLIED' | 'REJECTED';

/** The stored answer to each mutationId of a device: what makes pushChanges safe to repeat. */
interface MutationsTable {
  deviceRowId: string;
  mutationId: number;
  /** SHA-256 of the canonical JSON of the change: another payload under the same id is a conflict. */
  payloadSha256: string;
  outcome: ChangeOutcome;
  reason: string | null;
  changeSeq: number | null;
}

/** The newest state of each record; a delete leaves a tombstone (data null) so that folding sees it. */
interface RecordsTable {
  id: Generated<string>;
  userId: string;
  source: string;
  recordId: string;
  data: NullableJsonb<Json>;
  deleted: boolean;
  changeSeq: number;
  occurredAt: Timestamp;
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
  reason: string | null;
  datasetId: string | null;
  adapterId: string | null;
  queuedAt: Timestamp;
  startedAt: NullableTimestamp;
  finishedAt: NullableTimestamp;
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
  parentId: string | null;
  datasetId: string | null;
  runId: string | null;
  rank: number;
  /** SHA-256 of adapter_model.safetensors: the bytes' name in the blob store. */
  sha256: string;
  /** Empty when rejected: nothing is kept. */
  files: Jsonb<readonly StoredFile[]>;
  evaluation: NullableJsonb<Evaluation>;
  /** The dataset's changeSeq: the adapter knew every change up to here. */
  dataThrough: number | null;
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
}

/** The adapter a device last acknowledged as installed, per mode. */
export interface HeldAdaptersTable {
  deviceRowId: string;
  userId: string;
  mode: string;
  adapterId: string;
  since: Timestamp;
}

/** Why an answer ended. */
export type FinishReason = 'STOP' | 'LENGTH' | 'CANCELLED';
/** What the user thought of an answer. */
export type Verdict = 'UP' | 'DOWN';

interface CompletionsTable {
  id: Generated<string>;
  seq: Generated<number>;
  userId: string;
  mode: string;
  /** The caller's own id, unique within the user. */
  clientId: string | null;
  /** Null (and text and inputSha256 empty) once a delete of the record it was made from has erased it. */
  input: NullableJsonb<Json>;
  /** What the prompt showed besides the input, such as a contact. */
  context: NullableJsonb<Json>;
  inputSha256: string;
  text: string;
  adapterId: string | null;
  dataThrough: number | null;
  promptTokens: number;
  completionTokens: number;
  finishReason: FinishReason;
  verdict: Verdict | null;
  better: string | null;
  /** The completion of the same input that the user preferred to this one. */
  preferredId: string | null;
  ratedAt: NullableTimestamp;
  createdAt: Timestamp;
}

/** Every record whose content the prompt of a completion showed besides its input. */
interface CompletionRecordsTable {
  completionId: string;
  userId: string;
  source: string;
  recordId: string;
}

/** A chosen and a rejected answer to one input, made from ratings; it has a place in the user's change order and is
 *  part of the datasets folded at changeSeq <= n < untilSeq. */
interface PreferencesTable {
  id: Generated<string>;
  userId: string;
  mode: string;
  /** The completion whose text was rejected. */
  completionId: string;
  /** The adapter that wrote the rejected text; null: the bare base. */
  adapterId: string | null;
  /** The texts are null once another rating has replaced the pair. */
  input: NullableJsonb<Json>;
  context: NullableJsonb<Json>;
  inputSha256: string;
  chosen: string | null;
  rejected: string | null;
  /** SHA-256 over input, context, chosen and rejected. */
  sha256: string;
  changeSeq: number;
  untilSeq: number | null;
  createdAt: Timestamp;
}

/** All tables. */
export interface DatabaseSchema {
  facts: FactsTable;
  users: UsersTable;
  devices: DevicesTable;
  mutations: MutationsTable;
  records: RecordsTable;
  examples: ExamplesTable;
  exampleRecords: ExampleRecordsTable;
  exampleLookups: ExampleLookupsTable;
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
export type DeviceRow = Selectable<DevicesTable>;
/** The newest state of one of a user's records. */
export type RecordRow = Selectable<RecordsTable>;
/** A dataset by name and size. */
export type DatasetRow = Selectable<DatasetsTable>;
/** A training run. */
export type RunRow = Selectable<RunsTable>;
/** An adapter. */
export type AdapterRow = Selectable<AdaptersTable>;
/** An event of a user's feed. */
export type FeedEventRow = Selectable<FeedEventsTable>;
/** A completion and its rating. */
export type CompletionRow = Selectable<CompletionsTable>;
