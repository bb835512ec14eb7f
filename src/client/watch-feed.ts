// The feed's subscription, used as a doorbell only: what it says is read again page by page, so nothing hangs on it.

import { createClient } from 'graphql-ws/client';
import { type Api, ApiError, offline } from './api.ts';

const DOCUMENT =
  'subscription Watch($after: Cursor) { adapterEvents(after: $after) { __typename } }';

/** Without a sign of life for this long, a connection counts as broken. */
const KEEP_ALIVE_MS = 30_000;

/** Calls `onNews` when the feed has something after the cursor, until the signal aborts. Rejects with ApiError when the
 *  connection breaks: what happened since is then unknown. */
export async function watchFeed(
  api: Api,
  webSocketImpl: unknown,
  { after, onNews }: { after: string | null; onNews: () => void },
  signal: AbortSignal,
): Promise<void> {
  const authorization = `Bearer ${await api.token(null)}`;
  const socket = createClient({
    url: `${api.access.url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl,
    connectionParams: { authorization },
    retryAttempts: 0,
    keepAlive: KEEP_ALIVE_MS,
    onNonLazyError: () => undefined,
  });
  const stop = () => void socket.dispose();
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    for await (const _ of socket.iterate({ query: DOCUMENT, variables: { after } })) onNews();
    throw offline(new Error('the subscription ended'));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ApiError) throw error;
    throw offline(error);
  } finally {
    signal.removeEventListener('abort', stop);
    await socket.dispose();
  }
}
