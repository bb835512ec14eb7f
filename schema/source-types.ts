// What a resolver gets as its parent, per GraphQL type. The exported names are the GraphQL types'; Nexus finds them here.

import type { HeldAdapterRow } from '../src/adapters/held-adapters.ts';
import type { Answer, AnswerEvent } from '../src/answers/answers.ts';
import type { PushResult } from '../src/changes/push-changes.ts';
import type {
  AdapterRow,
  CompletionRow,
  DatasetRow,
  DeviceRow,
  RecordRow,
  RevokedDeviceRow,
  RunRow,
  StoredFile,
  UserRow,
} from '../src/db/schema.ts';
import type { Erasure } from '../src/erasure/receipt.ts';
import type { TokenLogprob as AnswerLogprob, Logprob } from '../src/inference/core/logprobs.ts';
import type { Json } from '../src/lib/canonical-json.ts';
import type { Base } from '../src/model/base/base-package.ts';
import type { Mode as ModeDefinition } from '../src/modes/mode.ts';
import type { FeedEvent, FeedPage, Resync } from '../src/sync/feed.ts';

/** A row of users. */
export type User = UserRow;
/** A mode of the catalog; what the viewer has in it is read by its key. */
export type Mode = ModeDefinition;
/** The one base of the server. */
export type BaseModel = Base;
/** A row of adapters. */
export type Adapter = AdapterRow;
/** A row of datasets. */
export type Dataset = DatasetRow;
/** A row of runs. */
export type TrainingRun = RunRow;
/** A row of devices. */
export type Device = DeviceRow;
/** A row of revoked devices. */
export type RevokedDevice = RevokedDeviceRow;
/** A row of held adapters. */
export type HeldAdapter = HeldAdapterRow;
/** A row of records. */
export type Record = RecordRow;
/** A row of completions, and for who has just asked how likely its tokens were. */
export type Completion = CompletionRow & Pick<Answer, 'logprobs'>;
/** A token of an answer. */
export type TokenLogprob = AnswerLogprob;
/** A token at some place of an answer. */
export type TopLogprob = Logprob;

/** What an erasure did, with its signed receipt. */
export type ErasureReceipt = Pick<Erasure, 'counts' | 'adapters' | 'dataKeySha256'> & {
  readonly requestedAt: Date;
  readonly completedAt: Date;
  readonly receipt: Json;
};
/** The answer to changes that were looked at. */
export type PushAccepted = Extract<PushResult, { kind: 'accepted' }>;
/** The answer to changes that were not. */
export type PushGap = Extract<PushResult, { kind: 'gap' }>;
/** An adapter to install. */
export type AdapterReady = Extract<FeedEvent, { kind: 'ready' }>;
/** An adapter to remove. */
export type AdapterRevoked = Extract<FeedEvent, { kind: 'revoked' }>;
/** A cursor that leads nowhere. */
export type ResyncRequired = Resync;
/** A page of the feed. */
export type AdapterFeedPage = FeedPage;
/** A piece of an answer. */
export type CompletionChunk = Extract<AnswerEvent, { kind: 'chunk' }>;
/** The end of an answer. */
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
