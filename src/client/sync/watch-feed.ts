// The feed's subscription, used as a doorbell only: what it says is read again page by page, so nothing hangs on it. A
// connection that ends is made anew for as long as the device is in step; whether the server can be reached, and whether
// it takes the token, is for the pass to find out that each end rings for.

import { createClient } from 'graphql-ws/client';
import type { Api } from '../api.ts';
import { backoffMs } from './backoff.ts';

const DOCUMENT =
  'subscription Watch($after: Cursor) { adapterEvents(after: $after) { __typename } }';

/** Without a sign of life for this long, a connection counts as broken. */
const KEEP_ALIVE_MS = 30_000;

/** A connection that has held for so long was no failure. */
const STEADY_MS = 60_000;

/** What a close code of the server's says of the next connection; any other one says only: not at once. */
const CLOSED: Readonly<Record<number, { readonly isTokenOver?: true; readonly waitMs?: number }>> =
  {
    // no valid token, or the user was erased
    4401: { isTokenOver: true },
    // the token has expired, or it is not good for this: the device was revoked
    4403: { isTokenOver: true },
    // too many sockets, of this user or in a short time
    4429: { waitMs: 1_000 },
  };

/** What watching needs. */
export interface WatchParts {
  readonly api: Api;
  /** The class to open sockets with. */
  readonly webSocket: unknown;
  readonly random: () => number;
  /** Behind what it looks for news. */
  cursor(): Promise<string | null>;
  /** Called when there is something behind the cursor, and when a connection has ended. */
  onNews(): void;
}

/** Watches until the signal aborts, and then rejects with its reason. */
export async function watchFeed(parts: WatchParts, signal: AbortSignal): Promise<never> {
  const { api, onNews, random } = parts;
  const { clock } = api.access;
  for (let failures = 1; ; failures += 1) {
    // the pass that is rung for needs a token too, and reports why there is none
    const token = await api.token(null).catch(() => null);
    const begunAt = clock.now();
    const code = token === null ? null : await watchOnce(parts, token, signal);
    signal.throwIfAborted();
    const { isTokenOver = false, waitMs = 0 } = (code === null ? null : CLOSED[code]) ?? {};
    if (isTokenOver && token !== null) api.refuse(token);
    onNews();
    if (clock.now() - begunAt >= STEADY_MS) failures = 1;
    await clock.sleep(backoffMs(failures, waitMs, random), signal);
  }
}

/** One connection from its beginning to its end; returns the code that it was closed with, if it had one. */
async function watchOnce(
  { api, webSocket, cursor, onNews }: WatchParts,
  token: string,
  signal: AbortSignal,
): Promise<number | null> {
  const after = await cursor();
  let code: number | null = null;
  const socket = createClient({
    url: `${api.access.url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: webSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
    keepAlive: KEEP_ALIVE_MS,
    on: {
      closed: (event) => {
        code = closeCodeOf(event);
        // it would connect again by itself after a 1000
        void stop();
      },
    },
  });
  const stop = async () => {
    // rejects only where nothing ever opened, and then there is nothing to close: the loop below has ended by the same
    await Promise.resolve(socket.dispose()).catch(() => undefined);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    for await (const _ of socket.iterate({ query: DOCUMENT, variables: { after } })) onNews();
  } catch {
    // a close event, errors of the operation, or a server that cannot be reached: what it means for the next connection is in
    // the code, and the pass that each end rings for asks the same server by HTTP and reports what that says
  } finally {
    signal.removeEventListener('abort', stop);
    await stop();
  }
  return code;
}

function closeCodeOf(event: unknown): number | null {
  const hasCode = typeof event === 'object' && event !== null && 'code' in event;
  return hasCode && typeof event.code === 'number' ? event.code : null;
}
