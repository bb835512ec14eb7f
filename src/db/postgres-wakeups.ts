// Wakeups over PostgreSQL's LISTEN and NOTIFY: for several processes on one database without a Redis.

import pg from 'pg';
import { rest, systemClock } from '../lib/clock.ts';
import { type CarrierEvents, openSharedWakeups } from '../lib/shared-wakeups.ts';
import type { Wakeups } from '../lib/wakeups.ts';

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
): Promise<Wakeups> {
  return openSharedWakeups((events) => {
    const closing = new AbortController();
    const listening = listenAlways(database.databaseUrl, events, {
      onError,
      signal: closing.signal,
    });
    return Promise.resolve({
      publish: async (text) => {
        await database.pool.query('select pg_notify($1, $2)', [CHANNEL, text]);
      },
      close: async () => {
        closing.abort();
        await listening;
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
  databaseUrl: string,
  events: CarrierEvents,
  { onError, signal }: ListenOptions,
): Promise<void> {
  while (!signal.aborted) {
    await listenOnce(databaseUrl, events, signal).catch(onError);
    await rest(systemClock, RETRY_MS, signal);
  }
}

/** Listens until the signal aborts; throws when the connection is lost. */
async function listenOnce(
  databaseUrl: string,
  { heard, listening }: CarrierEvents,
  signal: AbortSignal,
): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, keepAlive: true });
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
    // one that never connected has nothing to end
    client.removeAllListeners('end');
    await client.end().catch(() => undefined);
  }
}
