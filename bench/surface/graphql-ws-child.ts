// graphql-ws alone, as its documentation starts it: the schema's text, no checks, no database. Told `publish`, it hands one
// event to every subscriber; told `rss`, it says how much memory it takes.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const event = {
  __typename: 'AdapterReady',
  cursor: 'x'.repeat(140),
  adapter: { id: 'x'.repeat(64), version: 1, sha256: 'x'.repeat(64) },
};
let waiting: (() => void)[] = [];

async function* adapterEvents() {
  for (;;) {
    await new Promise<void>((resolve) => waiting.push(resolve));
    yield { adapterEvents: event };
  }
}

const schema = buildSchema(
  readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8'),
);
const server = createServer();
useServer(
  { schema, roots: { subscription: { adapterEvents } } },
  new WebSocketServer({ server, path: '/graphql' }),
);

function publish(): number {
  const wokenAt = performance.timeOrigin + performance.now();
  const woken = waiting;
  waiting = [];
  for (const wake of woken) wake();
  return wokenAt;
}

// nobody asks any more
process.on('disconnect', () => process.exit());
process.on('message', (question) =>
  process.send?.(question === 'publish' ? publish() : process.memoryUsage.rss()),
);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}`, tokens: ['none'] });
});
