// One device of one user, as an app would drive it: GraphQL over HTTP and WebSocket, files over plain HTTP.
// Used by the demo and the benches; knows only the public API.

import { createHash } from 'node:crypto';
import { type Client, createClient } from 'graphql-ws';
import WebSocket from 'ws';

/** Where the server is and who the user is. */
export interface Account {
  /** Such as `http://127.0.0.1:4000`, without a slash at the end. */
  readonly url: string;
  readonly token: string;
}

/** A change as `pushChanges` takes it, without its mutationId. */
export interface Change {
  readonly source: string;
  readonly recordId: string;
  readonly kind: 'UPSERT' | 'DELETE';
  readonly data?: unknown;
  readonly occurredAt: string;
}

/** What the demo shows of an adapter. */
export interface AdapterView {
  readonly id: string;
  readonly version: number;
  readonly sha256: string;
  readonly mode: { readonly key: string };
  readonly files: readonly { name: string; url: string; sizeBytes: number; sha256: string }[];
  readonly evaluation: {
    readonly loss: number | null;
    readonly baseLoss: number | null;
    readonly preferenceAccuracy: number | null;
    readonly reason: string;
  } | null;
  /** Of the ratings that it learnt from, the share about answers of the version before it; null where there were none. */
  readonly onPolicyShare: number | null;
}

/** One answer of the cloud. */
export interface AnswerView {
  readonly id: string;
  readonly text: string;
  readonly adapter: { readonly version: number } | null;
}

/** An event of the user's adapter feed. */
export type AdapterSignal =
  | { readonly __typename: 'AdapterReady'; readonly cursor: string; readonly adapter: AdapterView }
  | {
      readonly __typename: 'AdapterRevoked';
      readonly cursor: string;
      readonly adapterId: string;
      readonly modeKey: string;
      readonly reason: string;
    }
  | { readonly __typename: 'ResyncRequired'; readonly reason: string };

/** A training run as `trainingRuns` reports it. */
export interface RunView {
  readonly id: string;
  readonly status: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly losses: readonly number[];
  readonly reason: string | null;
  readonly mode: { readonly key: string };
}

const ADAPTER_FIELDS = `id version sha256 mode { key } files { name url sizeBytes sha256 }
  evaluation { loss baseLoss preferenceAccuracy reason } onPolicyShare`;

const ADAPTER_EVENTS = `subscription ($after: Cursor) { adapterEvents(after: $after) { __typename
  ... on AdapterReady { cursor adapter { ${ADAPTER_FIELDS} } }
  ... on AdapterRevoked { cursor adapterId modeKey reason }
  ... on ResyncRequired { reason } } }`;

const TRAINING_RUNS = `subscription ($mode: String) { trainingRuns(mode: $mode) {
  id status step totalSteps losses reason mode { key } } }`;

const COMPLETION_TOKENS = `subscription ($input: CompleteInput!) { completionTokens(input: $input) {
  __typename ... on CompletionChunk { index text }
  ... on CompletionDone { completion { completionTokens } } } }`;

const PUSH = `mutation ($input: PushChangesInput!) { pushChanges(input: $input) { __typename
  ... on PushAccepted { lastMutationId results { mutationId outcome reason changeSeq } }
  ... on PushGap { expectedMutationId } } }`;

/** One signed-in device. */
export class Phone {
  readonly deviceId: string;
  readonly #account: Account;
  readonly #socket: Client;
  #nextMutationId = 1;

  constructor(account: Account, deviceId: string) {
    this.deviceId = deviceId;
    this.#account = account;
    this.#socket = createClient({
      url: `${account.url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${account.token}` },
    });
  }

  /** Runs one operation; throws with the server's own words when it has errors. */
  async query<T>(
    query: string,
    variables: Record<string, unknown> = {},
    signal?: AbortSignal,
  ): Promise<T> {
    const response = await fetch(`${this.#account.url}/graphql`, {
      ...{ method: 'POST', signal: signal ?? null },
      headers: { 'content-type': 'application/json', ...this.#authorization() },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as {
      data?: T;
      errors?: readonly { message: string }[];
    };
    if (errors !== undefined) throw new Error(errors.map(({ message }) => message).join('; '));
    return data as T;
  }

  /** Registers the device and continues its numbering of changes. */
  async register(name: string): Promise<void> {
    const { registerDevice } = await this.query<{ registerDevice: { lastMutationId: number } }>(
      `mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { lastMutationId } }`,
      { input: { deviceId: this.deviceId, name, platform: 'terminal' } },
    );
    this.#nextMutationId = registerDevice.lastMutationId + 1;
  }

  /** Pushes changes in order; throws unless every one was applied or seen before. */
  async push(changes: readonly Change[]): Promise<void> {
    const first = this.#nextMutationId;
    const numbered = changes.map((change, index) => ({ ...change, mutationId: first + index }));
    const { pushChanges } = await this.query<{
      pushChanges:
        | { __typename: 'PushGap'; expectedMutationId: number }
        | {
            __typename: 'PushAccepted';
            lastMutationId: number;
            results: { mutationId: number; outcome: string; reason: string | null }[];
          };
    }>(PUSH, { input: { deviceId: this.deviceId, changes: numbered } });
    if (pushChanges.__typename === 'PushGap') {
      throw new Error(
        `the server expects mutation ${pushChanges.expectedMutationId}, not ${first}`,
      );
    }
    const rejected = pushChanges.results.find(({ outcome }) => outcome === 'REJECTED');
    if (rejected) throw new Error(`change ${rejected.mutationId} was rejected: ${rejected.reason}`);
    this.#nextMutationId = pushChanges.lastMutationId + 1;
  }

  /** The user's adapter events after a cursor, then live. */
  async *adapterEvents(after: string | null): AsyncIterableIterator<AdapterSignal> {
    type Payload = { adapterEvents: AdapterSignal };
    yield* this.#subscribe<Payload, AdapterSignal>(ADAPTER_EVENTS, { after }, 'adapterEvents');
  }

  /** Every state that the user's runs of the mode go through from now on. */
  async *trainingRuns(mode: string): AsyncIterableIterator<RunView> {
    type Payload = { trainingRuns: RunView };
    yield* this.#subscribe<Payload, RunView>(TRAINING_RUNS, { mode }, 'trainingRuns');
  }

  async *#subscribe<P extends Record<string, T>, T>(
    query: string,
    variables: Record<string, unknown>,
    field: keyof P & string,
  ): AsyncIterableIterator<T> {
    for await (const { data, errors } of this.#socket.iterate<P>({ query, variables })) {
      if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
      if (data) yield data[field] as T;
    }
  }

  /** Downloads an adapter's files, checks each against its SHA-256, and acknowledges; returns the byte count. */
  async install(adapter: AdapterView): Promise<number> {
    let sizeBytes = 0;
    for (const file of adapter.files) {
      const response = await fetch(this.#account.url + file.url, {
        headers: this.#authorization(),
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      const digest = createHash('sha256').update(bytes).digest('hex');
      if (digest !== file.sha256) throw new Error(`${file.name}: ${digest}, not ${file.sha256}`);
      sizeBytes += bytes.length;
    }
    await this.acknowledge(adapter.id, 'INSTALLED');
    return sizeBytes;
  }

  /** Tells the server what became of an adapter on this device. */
  async acknowledge(adapterId: string, state: 'INSTALLED' | 'REMOVED' | 'FAILED'): Promise<void> {
    await this.query(
      `mutation ($input: AcknowledgeAdapterInput!) { acknowledgeAdapter(input: $input) { id } }`,
      { input: { deviceId: this.deviceId, adapterId, state } },
    );
  }

  /** Asks the cloud; `adapter` pins what answers. */
  async complete(input: {
    mode: string;
    input: unknown;
    adapter?: unknown;
    maxTokens?: number;
  }): Promise<AnswerView> {
    const { complete } = await this.query<{ complete: AnswerView }>(
      `mutation ($input: CompleteInput!) { complete(input: $input) { id text adapter { version } } }`,
      { input },
    );
    return complete;
  }

  /** Says what the user thought of an answer. */
  async rate(
    { id }: AnswerView,
    rating: { readonly verdict?: 'UP' | 'DOWN'; readonly better?: string },
  ): Promise<void> {
    await this.query(
      `mutation ($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }`,
      { input: { completionId: id, ...rating } },
    );
  }

  /** Asks the cloud for an answer in chunks; returns them joined, and how many tokens the answer has. */
  async streamCompletion(input: {
    mode: string;
    input: unknown;
    maxTokens?: number;
    temperature?: number;
  }): Promise<{ text: string; tokens: number }> {
    type Event =
      | { __typename: 'CompletionChunk'; index: number; text: string }
      | { __typename: 'CompletionDone'; completion: { completionTokens: number } };
    type Payload = { completionTokens: Event };
    const chunks: string[] = [];
    let tokens = 0;
    const events = this.#subscribe<Payload, Event>(
      COMPLETION_TOKENS,
      { input },
      'completionTokens',
    );
    for await (const event of events) {
      if (event.__typename === 'CompletionChunk') chunks[event.index] = event.text;
      else tokens = event.completion.completionTokens;
    }
    return { text: chunks.join(''), tokens };
  }

  /** Closes the socket. */
  async close(): Promise<void> {
    await this.#socket.dispose();
  }

  #authorization(): Record<string, string> {
    return { authorization: `Bearer ${this.#account.token}` };
  }
}
