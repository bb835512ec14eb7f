// A device that knows several servers of one deployment: what one of them does not do, it asks of the next.

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { type AdapterSignal, type Change, Phone } from '../../../demo/phone.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { must } from '../../../src/lib/errors.ts';

const PUSH = `mutation ($input: PushChangesInput!) { pushChanges(input: $input) { __typename
  ... on PushAccepted { results { outcome } } } }`;
const FOLLOW = `subscription ($after: Cursor) { adapterEvents(after: $after) { __typename
  ... on AdapterReady { cursor adapter { id } } ... on AdapterRevoked { cursor adapterId }
  ... on ResyncRequired { reason } } }`;

const ASK = `mutation ($input: CompleteInput!) { complete(input: $input) { text } }`;

/** A server that does not answer for so long is given up, as a phone does; not one that is slow. */
const PATIENCE_MS = 40_000;
/** Between a connection that broke and the next one. */
const PAUSE_MS = 100;

/** An event of the feed, and the adapter that it is about. */
export interface HeardEvent {
  readonly cursor: string;
  readonly adapterId: string;
}

/** One device of one user. */
export class RoamingDevice {
  /** What the first server did not answer, or not well. */
  retries = 0;
  /** Pushes and questions that were answered, by whichever server. */
  answered = 0;
  /** Every event that came, in order. */
  readonly events: HeardEvent[] = [];
  readonly #phones: readonly Phone[];
  readonly #urls: readonly string[];
  readonly #token: string;
  #at = 0;
  #mutationId = 0;

  constructor(urls: readonly string[], token: string) {
    this.#urls = urls;
    this.#token = token;
    this.#phones = urls.map((url) => new Phone({ url, token }, 'device'));
  }

  /** How many changes were accepted. */
  get accepted(): number {
    return this.#mutationId;
  }

  register(): Promise<void> {
    return this.#phone().register('Device');
  }

  /** Pushes the changes, once more at another server if need be. Throws when that one does not accept them either. */
  async push(changes: readonly Change[]): Promise<void> {
    const numbered = changes.map((change) => {
      this.#mutationId += 1;
      return { ...change, mutationId: this.#mutationId };
    });
    await this.#mutate(PUSH, { deviceId: 'device', changes: numbered });
  }

  /** Has a mode answer; once more at another server if need be. Throws when that one does not answer either. */
  async ask(mode: string, input: unknown): Promise<void> {
    await this.#mutate(ASK, { mode, input, maxTokens: 8 });
  }

  async #mutate(document: string, input: unknown): Promise<void> {
    try {
      await this.#send(document, input);
    } catch {
      this.retries += 1;
      this.#at += 1;
      await this.#send(document, input);
    }
    this.answered += 1;
  }

  #send(document: string, input: unknown): Promise<unknown> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    return this.#phone().query(document, { input }, signal);
  }

  /** Follows the feed from its beginning, wherever it is served, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    for (let at = 0; !signal.aborted; at += 1) {
      await this.#followOn(must(this.#urls[at % this.#urls.length], 'a server'), signal).catch(
        // the connection broke: the next one goes on from the last cursor
        () => undefined,
      );
      await systemClock.sleep(PAUSE_MS);
    }
  }

  async #followOn(url: string, signal: AbortSignal): Promise<void> {
    const socket = createClient({
      url: `${url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${this.#token}` },
      retryAttempts: 0,
    });
    const stop = () => void socket.dispose();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const variables = { after: this.events.at(-1)?.cursor ?? null };
      type Payload = { adapterEvents: AdapterSignal };
      for await (const { data } of socket.iterate<Payload>({ query: FOLLOW, variables })) {
        const event = must(data, 'an event').adapterEvents;
        if (event.__typename === 'ResyncRequired') throw new Error(event.reason);
        const adapterId = 'adapter' in event ? event.adapter.id : event.adapterId;
        this.events.push({ cursor: event.cursor, adapterId });
      }
    } finally {
      signal.removeEventListener('abort', stop);
      await socket.dispose();
    }
  }

  #phone(): Phone {
    return must(this.#phones[this.#at % this.#phones.length], 'a phone for every server');
  }

  async close(): Promise<void> {
    await Promise.all(this.#phones.map((phone) => phone.close()));
  }
}
