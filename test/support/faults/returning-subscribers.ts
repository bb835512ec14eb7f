// Many devices in one process, each with a socket of its own that follows its user's adapters. One whose socket closes comes
// back after the SDK's own wait, at the next server, with its last cursor. Whenever it is asked, it says what all have heard.

import { once } from 'node:events';
import WebSocket from 'ws';
import { backoffMs } from '../../../src/client/sync/backoff.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { must } from '../../../src/lib/errors.ts';
import { randomFrom } from '../seed.ts';

/** Who the devices are, and where they may go. */
interface Crowd {
  readonly urls: readonly string[];
  readonly tokens: readonly string[];
  readonly count: number;
  /** Of the waits before they come back. */
  readonly seed: number;
}

/** What all have heard so far. */
export interface CrowdState {
  /** How many are subscribed. */
  readonly subscribed: number;
  /** How many have heard exactly so many events, by that number. */
  readonly heard: Readonly<Record<number, number>>;
  /** Events that came twice to the same device. */
  readonly doubled: number;
  /** Attempts to come back. */
  readonly returns: number;
  /** The adapters that each user's devices have heard of, by the user's place among the tokens. */
  readonly adapterIds: readonly (readonly string[])[];
}

const FOLLOW = `subscription ($after: Cursor) { adapterEvents(after: $after) { __typename
  ... on AdapterReady { cursor adapter { id } } } }`;
/** How many connect at a time at first. */
const AT_ONCE = 50;

let returns = 0;
let doubled = 0;
let random = Math.random;
const adapterIds: Set<string>[] = [];

class Subscriber {
  readonly #crowd: Crowd;
  readonly #number: number;
  readonly #cursors = new Set<string>();
  #last: string | null = null;
  isSubscribed = false;

  constructor(crowd: Crowd, number: number) {
    this.#crowd = crowd;
    this.#number = number;
  }

  get heard(): number {
    return this.#cursors.size;
  }

  /** Comes back for ever; resolves when it is subscribed for the first time. */
  start(): Promise<void> {
    return new Promise((resolve) => void this.#live(resolve));
  }

  async #live(onSubscribed: () => void): Promise<void> {
    let failures = 0;
    for (let at = this.#number; ; at += 1) {
      await this.#follow(at, () => {
        failures = 0;
        onSubscribed();
      }).catch(() => undefined);
      this.isSubscribed = false;
      failures += 1;
      returns += 1;
      await systemClock.sleep(backoffMs(failures, 0, random));
    }
  }

  /** Follows the feed at a server until the socket closes. */
  async #follow(at: number, onSubscribed: () => void): Promise<void> {
    const { urls, tokens } = this.#crowd;
    const url = must(urls[at % urls.length], 'a server');
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      perMessageDeflate: false,
      // so that no address runs out of ports
      localAddress: `127.0.0.${2 + (this.#number % 8)}`,
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    // its close follows
    socket.on('error', () => undefined);
    const say = (message: object) => socket.send(JSON.stringify(message));
    await Promise.race([once(socket, 'open'), closed]);
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data));
      if (type === 'connection_ack') {
        const variables = { after: this.#last };
        say({ id: '1', type: 'subscribe', payload: { query: FOLLOW, variables } });
        say({ type: 'ping' });
      }
      if (type === 'pong') {
        this.isSubscribed = true;
        onSubscribed();
      }
      if (type === 'next') this.#hear(payload.data.adapterEvents);
    });
    const authorization = `Bearer ${tokens[this.#number % tokens.length]}`;
    say({ type: 'connection_init', payload: { authorization } });
    await closed;
  }

  #hear({ cursor, adapter }: { cursor: string; adapter: { id: string } }): void {
    adapterIds[this.#number % this.#crowd.tokens.length]?.add(adapter.id);
    if (this.#cursors.has(cursor)) doubled += 1;
    this.#cursors.add(cursor);
    this.#last = cursor;
  }
}

async function start(crowd: Crowd): Promise<void> {
  random = randomFrom(crowd.seed);
  adapterIds.push(...crowd.tokens.map(() => new Set<string>()));
  const all = Array.from({ length: crowd.count }, (_, i) => new Subscriber(crowd, i));
  process.on('message', () => process.send?.(stateOf(all)));
  for (let at = 0; at < all.length; at += AT_ONCE)
    await Promise.all(all.slice(at, at + AT_ONCE).map((each) => each.start()));
  process.send?.(stateOf(all));
}

function stateOf(all: readonly Subscriber[]): CrowdState {
  const heard: Record<number, number> = {};
  for (const each of all) heard[each.heard] = (heard[each.heard] ?? 0) + 1;
  const subscribed = all.filter((each) => each.isSubscribed).length;
  return { subscribed, heard, doubled, returns, adapterIds: adapterIds.map((ids) => [...ids]) };
}

process.once('message', (crowd: Crowd) => void start(crowd));
process.once('disconnect', () => process.exit());
