// Ten thousand phones: each with a socket of its own that follows its user's adapters. Says when all are subscribed and,
// asked after a wake-up, when each of them heard of it.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import WebSocket from 'ws';
import { systemClock } from '../../src/lib/clock.ts';
import { projectFile } from '../../src/lib/project-file.ts';

const { url, tokens, count } = JSON.parse(process.argv[2] ?? '') as {
  url: string;
  tokens: readonly string[];
  count: number;
};
const AT_ONCE = 50;
/** No event takes this long. */
const PATIENCE_MS = 30_000;
const POLL_MS = 100;
const query = await readFile(projectFile('docs/clients/operations/AdapterEvents.graphql'), 'utf8');
const subscribe = JSON.stringify({ id: '1', type: 'subscribe', payload: { query } });
const ping = JSON.stringify({ type: 'ping' });

let heardAt: number[] = [];

async function open(index: number): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    perMessageDeflate: false,
    // so that no address runs out of ports
    localAddress: `127.0.0.${2 + (index % 8)}`,
  });
  socket.on('close', (code, reason) => {
    throw new Error(`socket ${index} was closed: ${code} ${reason}`);
  });
  await once(socket, 'open');
  const authorization = `Bearer ${tokens[index % tokens.length]}`;
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } }));
  await once(socket, 'message');
  socket.send(subscribe);
  socket.send(ping);
  await once(socket, 'message');
  socket.on('message', (message) => {
    if (`${message}`.includes('"next"')) heardAt.push(performance.timeOrigin + performance.now());
  });
}

for (let at = 0; at < count; at += AT_ONCE) {
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => open(at + i)));
}
process.send?.({ url, tokens: [] });

// nobody asks any more
process.on('disconnect', () => process.exit());
process.on('message', () => void tell());

/** Tells when each phone heard, once all have. */
async function tell(): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (heardAt.length < count) {
    if (performance.now() > until) throw new Error(`${heardAt.length} of ${count} have heard`);
    await systemClock.sleep(POLL_MS);
  }
  const heard = heardAt;
  heardAt = [];
  process.send?.(heard);
}
