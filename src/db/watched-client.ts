// Connections to PostgreSQL that do not wait for ever. Where a network carries nothing any more, neither side hears of the
// other's end, and the system gives a connection up only after a quarter of an hour.

import pg from 'pg';
import { type Clock, rest } from '../lib/clock.ts';

/** All connections are looked at so often. Limits are counted in looks, so that time in which this process was stopped does
 *  not count. */
const LOOK_EVERY_MS = 1_000;
const CONNECT_LOOKS = 10;
/** No statement takes longer, except those that change tables. */
const STATEMENT_LOOKS = 30;
/** A connection that listens has nothing to say for hours: it asks so often whether it is still heard. */
const PING_LOOKS = 10;

/** Has connections made that it watches over until it is closed; one timer serves them all. */
export class ConnectionWatch {
  readonly #clients = new Set<WatchedClient>();
  readonly #closing = new AbortController();
  /** What a pool makes its connections of. */
  readonly Client: new (
    config?: string | pg.ClientConfig,
  ) => pg.Client;

  constructor(clock: Clock) {
    const watched = this.#clients;
    this.Client = class extends WatchedClient {
      constructor(config?: string | pg.ClientConfig) {
        super(config);
        watched.add(this);
        this.once('end', () => watched.delete(this));
      }
    };
    void this.#run(clock);
  }

  /** Ends what is still open. */
  close(): void {
    this.#closing.abort();
    for (const client of this.#clients) client.connection.stream.destroy();
  }

  async #run(clock: Clock): Promise<void> {
    while (await rest(clock, LOOK_EVERY_MS, this.#closing.signal))
      for (const client of this.#clients) client.look();
  }
}

/** Ends, with what is asked on it, when it is not answered in time. The client's own time limit of a query would leave the
 *  connection in its pool, where whoever takes it next waits in vain as well. */
class WatchedClient extends pg.Client {
  #isConnected = false;
  #isAnswered = false;
  #listens = false;
  /** Since the last answer, or the last question after it. */
  #looks = 0;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('connect', () => {
      this.#isConnected = true;
      this.#answered();
    });
    this.on('drain', () => this.#answered());
  }

  // it stands for all of the client's own forms
  override query(...args: never): never {
    if (this.#isAnswered) this.#looks = 0;
    this.#isAnswered = false;
    this.#listens ||= isListen(args[0]);
    const query: (...same: never) => unknown = super.query;
    return query.apply(this, args) as never;
  }

  /** Counts a look. */
  look(): void {
    this.#looks += 1;
    if (this.#isAnswered) {
      // a failure is told by the connection's end
      if (this.#listens && this.#looks >= PING_LOOKS) this.#ping().catch(() => undefined);
      return;
    }
    if (this.#looks < (this.#isConnected ? STATEMENT_LOOKS : CONNECT_LOOKS)) return;
    const silence = new Error('PostgreSQL has not answered for too long');
    this.connection.stream.destroy(Object.assign(silence, { code: 'ETIMEDOUT' }));
  }

  #ping(): Promise<unknown> {
    const ping: (text: string) => Promise<unknown> = this.query.bind(this) as never;
    return ping('select 1');
  }

  #answered(): void {
    this.#isAnswered = true;
    this.#looks = 0;
  }
}

/** Whether a query, a text or an object with one, makes its connection listen. */
function isListen(query: unknown): boolean {
  const text = typeof query === 'object' && query !== null && 'text' in query ? query.text : query;
  return typeof text === 'string' && /^\s*listen\b/im.test(text);
}
