import { readFile } from 'node:fs/promises';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

/** Gives a token that is valid now. */
type GetToken = () => Promise<string>;

const operation = (name: string) =>
  readFile(new URL(`operations/${name}.graphql`, import.meta.url), 'utf8');

/** Runs one of the sample operations. */
export async function call(url: string, getToken: GetToken, name: string, variables: object) {
  const query = (await operation(name)).trim();
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await getToken()}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: any; errors?: any[] };
  if (!errors) return data;
  const [{ message, extensions }] = errors;
  throw Object.assign(new Error(message), extensions); // code, retryAfterMs
}

/** Follows the adapters from a cursor on, over reconnections and the ends of tokens. */
export async function* adapterEvents(url: string, getToken: GetToken, start: string | null) {
  let after = start;
  const socket = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket, // browsers have their own
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
    shouldRetry: () => true,
    retryAttempts: Number.POSITIVE_INFINITY,
  });
  // read anew whenever the client subscribes again
  const variables = {
    get after() {
      return after;
    },
  };
  try {
    const query = (await operation('AdapterEvents')).trim();
    for await (const { data } of socket.iterate<any>({ query, variables })) {
      after = data?.adapterEvents.cursor ?? null;
      yield data?.adapterEvents;
    }
  } finally {
    await socket.dispose();
  }
}
