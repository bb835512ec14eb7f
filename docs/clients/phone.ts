import { readFile } from 'node:fs/promises';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const operation = (name: string) =>
  readFile(new URL(`operations/${name}.graphql`, import.meta.url), 'utf8');

/** Runs one of the sample operations. */
export async function call(url: string, token: string, name: string, variables: object) {
  const query = (await operation(name)).trim();
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: any; errors?: any[] };
  if (!errors) return data;
  const [{ message, extensions }] = errors;
  throw Object.assign(new Error(message), extensions); // code, retryAfterMs
}

/** Follows the adapters from a cursor on, over reconnections. */
export async function* adapterEvents(url: string, token: string, after: string | null) {
  const socket = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket, // browsers have their own
    connectionParams: { authorization: `Bearer ${token}` },
    shouldRetry: () => true,
  });
  try {
    const query = (await operation('AdapterEvents')).trim();
    for await (const { data } of socket.iterate<any>({ query, variables: { after } })) {
      yield data?.adapterEvents;
    }
  } finally {
    await socket.dispose();
  }
}
