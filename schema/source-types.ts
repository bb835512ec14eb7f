// What a resolver gets as its parent, per GraphQL type. The exported names are the GraphQL types'; Nexus finds them here.

import type { HeldAdapterRow } from '../src/adapters/held-adapters.ts';
import type { AnswerEvent } from '../src/answers/answers.ts';
import type { PushResult } from '../src/changes/push-changes.ts';
import type {
  AdapterRow,
  CompletionRow,
  DatasetRow,
  DeviceRow,
  RecordRow,
  RunRow,
  StoredFile,
  UserRow,
} from '../src/db/schema.ts';
import type { Base } from '../src/model/base-package.ts';
import type { Mode as ModeDefinition } from '../src/modes/mode.ts';
import type { FeedEvent, FeedPage, Resync } from '../src/sync/feed.ts';

export type User = UserRow;
export type Mode = ModeDefinition;
export type BaseModel = Base;
export type Adapter = AdapterRow;
export type Dataset = DatasetRow;
export type TrainingRun = RunRow;
export type Device = DeviceRow;
export type HeldAdapter = HeldAdapterRow;
export type Record = RecordRow;
export type Completion = CompletionRow;

export type PushAccepted = Extract<PushResult, { kind: 'accepted' }>;
export type PushGap = Extract<PushResult, { kind: 'gap' }>;
export type AdapterReady = Extract<FeedEvent, { kind: 'ready' }>;
export type AdapterRevoked = Extract<FeedEvent, { kind: 'revoked' }>;
export type ResyncRequired = Resync;
export type AdapterFeedPage = FeedPage;
export type CompletionChunk = Extract<AnswerEvent, { kind: 'chunk' }>;
export type CompletionDone = Extract<AnswerEvent, { kind: 'done' }>;

/** An object that `node(id)` found, marked with its type. */
export type Node = {
  readonly [T in keyof NodeSources]: NodeSources[T] & { readonly id: string; readonly nodeType: T };
}[keyof NodeSources];

interface NodeSources {
  readonly User: User;
  readonly Mode: Mode;
  readonly BaseModel: BaseModel;
  readonly Adapter: Adapter;
  readonly Dataset: Dataset;
  readonly TrainingRun: TrainingRun;
  readonly Device: Device;
  readonly Record: Record;
  readonly Completion: Completion;
}

/** A stored file and where clients find it. */
export interface File extends StoredFile {
  readonly url: string;
}
