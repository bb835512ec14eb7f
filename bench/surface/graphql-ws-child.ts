// graphql-ws alone, as its documentation starts it: the schema's text, no checks, no database. Told to wake topics, it hands one
// event to every subscriber; told `use`, it says what it has used.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { answerParent, useOf } from './contender.ts';

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

function wake(): number {
  const wokenAt = performance.timeOrigin + performance.now();
  const woken = waiting;
  waiting = [];
  for (const follow of woken) follow();
  return wokenAt;
}

answerParent((question) => (question === 'use' ? useOf(process) : wake()));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}`, tokens: ['none'] });
});
