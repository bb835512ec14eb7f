// Wakeups over PostgreSQL's LISTEN and NOTIFY: for several processes on one database without a Redis.

import type pg from 'pg';
import { type Clock, rest, systemClock } from '../lib/clock.ts';
import { type CarrierEvents, openSharedWakeups } from '../lib/shared-wakeups.ts';
import type { Wakeups } from '../lib/wakeups.ts';
import { ConnectionWatch } from './watched-client.ts';

const CHANNEL = 'attune_wakeups';

/** How long to rest before a lost connection is made anew. */
const RETRY_MS = 1_000;

/** The connections that hints go out on. */
interface Publisher {
  query(text: string, values: unknown[]): Promise<unknown>;
}

/** Opens wakeups that reach every process on the same database. A lost connection delays them until it is back.
 *  Failures of the listening connection reach `onError`; it is made anew by itself. */
export function openPostgresWakeups(
  database: { readonly pool: Publisher; readonly databaseUrl: string },
  onError: (error: unknown) => void,
  /** By which a connection is given up that carries nothing. */
  clock: Clock = systemClock,
): Promise<Wakeups> {
  return openSharedWakeups((events) => {
    const closing = new AbortController();
    const watch = new ConnectionWatch(clock);
    const connect = () =>
      new watch.Client({ connectionString: database.databaseUrl, keepAlive: true });
    const listening = listenAlways(connect, events, { onError, signal: closing.signal });
    return Promise.resolve({
      publish: async (text) => {
        await database.pool.query('select pg_notify($1, $2)', [CHANNEL, text]);
      },
      close: async () => {
        closing.abort();
        await listening;
        watch.close();
      },
    });
  });
}

interface ListenOptions {
  readonly onError: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Listens, on one connection after the other, until the signal aborts. */
async function listenAlways(
  connect: () => pg.Client,
  events: CarrierEvents,
  { onError, signal }: ListenOptions,
): Promise<void> {
  while (!signal.aborted) {
    await listenOnce(connect(), events, signal).catch(onError);
    await rest(systemClock, RETRY_MS, signal);
  }
}

/** Listens until the signal aborts; throws when the connection is lost. */
async function listenOnce(
  client: pg.Client,
  { heard, listening }: CarrierEvents,
  signal: AbortSignal,
): Promise<void> {
  const ended = new Promise<void>((resolve, reject) => {
    client.on('error', reject);
    client.on('end', () => reject(new Error('the connection that listens was closed')));
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  client.on('notification', ({ payload }) => heard(payload ?? ''));
  try {
    await Promise.race([ended, client.connect()]);
    await Promise.race([ended, client.query(`listen ${CHANNEL}`)]);
    listening();
    await ended;
  } finally {
    // a goodbye might never be answered
    client.connection.stream.destroy();
  }
}
