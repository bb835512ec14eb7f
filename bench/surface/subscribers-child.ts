// Ten thousand phones: each with a socket of its own that follows its user's adapters. Says when all are subscribed, and
// after each round how long after the wake-up each of them heard of it.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import WebSocket from 'ws';

const { url, tokens, count } = JSON.parse(process.argv[2] ?? '') as {
  url: string;
  tokens: readonly string[];
  count: number;
};
const AT_ONCE = 50;
const file = new URL('../../docs/clients/operations/AdapterEvents.graphql', import.meta.url);
const query = await readFile(file, 'utf8');
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
process.on('message', () => {
  const heard = heardAt;
  heardAt = [];
  process.send?.(heard);
});
