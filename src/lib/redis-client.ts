// Connections to Redis that notice when they carry nothing any more, and tell how long commands take.

import { tracingChannel } from 'node:diagnostics_channel';
import { createClient, type RedisClientOptions } from 'redis';

/** When a quiet connection asks whether it is still heard, and how long it waits for any sign. */
export interface Patience {
  readonly pingMs: number;
  readonly silenceMs: number;
}

/** For work in the background. Blocking commands, which are answered after 10 s at the latest, must end before. */
export const PATIENT: Patience = { pingMs: 5_000, silenceMs: 15_000 };
/** For what requests wait for, and can do without. */
export const IMPATIENT: Patience = { pingMs: 500, silenceMs: 1_500 };

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;
const JITTER_MS = 200;

/** Makes a client that is not connected yet. One that hears nothing for too long fails what was asked and is connected anew, as
 *  after any other failure of the connection; all of them reach `onError`. */
export function newRedisClient(
  url: string,
  onError: (error: unknown) => void,
  { pingMs, silenceMs }: Patience,
  options: Pick<RedisClientOptions, 'disableOfflineQueue'> = {},
) {
  // of its own accord the client would not come back from a silence
  const socket = { socketTimeout: silenceMs, reconnectStrategy: waitMs };
  const client = createClient({ ...options, url, pingInterval: pingMs, socket });
  client.on('error', onError);
  return client;
}

/** Commands that are answered when there is something, such as BZPOPMIN: their time tells of the load, not of Redis. */
const WAITS = /^(B[LRZ]|XREAD)/i;

/** Tells how long each command of this process took, answered or failed, until it is called off. */
export function watchRedis(onCommand: (ms: number) => void): () => void {
  // the client's own name for it
  const channel = tracingChannel<string, { readonly command: string }>('node-redis:command');
  const startedAt = new WeakMap<object, number>();
  const watcher = {
    start: (context: { readonly command: string }) => {
      if (!WAITS.test(context.command)) startedAt.set(context, performance.now());
    },
    asyncEnd: (context: object) => {
      const start = startedAt.get(context);
      if (start !== undefined) onCommand(performance.now() - start);
    },
    end: () => undefined,
    asyncStart: () => undefined,
    error: () => undefined,
  };
  channel.subscribe(watcher);
  return () => void channel.unsubscribe(watcher);
}

function waitMs(retries: number): number {
  const longer = FIRST_WAIT_MS * 2 ** Math.min(retries, 10);
  return Math.min(longer, LONGEST_WAIT_MS) + Math.floor(Math.random() * JITTER_MS);
}
