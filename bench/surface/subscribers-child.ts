// Ten thousand phones: each with a socket of its own that follows its user's adapters. Says when all are subscribed and,
// asked after a wake-up, when each of them heard of it. They share the machine with the server that is measured, so they do
// as little as they can: raw sockets, on which an event is only looked for.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../src/lib/clock.ts';
import { projectFile } from '../../src/lib/project-file.ts';
import { answerParent, useOf } from './contender.ts';

const { url, tokens, count } = JSON.parse(process.argv[2] ?? '') as {
  url: string;
  tokens: readonly string[];
  count: number;
};
const AT_ONCE = 50;
/** No event takes this long. */
const PATIENCE_MS = 30_000;
const POLL_MS = 100;
const { hostname, port, pathname } = new URL('/graphql', url);
const UPGRADE = [
  `GET ${pathname} HTTP/1.1`,
  `Host: ${hostname}`,
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
  'Sec-WebSocket-Protocol: graphql-transport-ws',
  '\r\n',
].join('\r\n');
const query = await readFile(projectFile('docs/clients/operations/AdapterEvents.graphql'), 'utf8');
const subscribe = frameOf({ id: '1', type: 'subscribe', payload: { query } });
const ping = frameOf({ type: 'ping' });

/** Frames that keep a socket open. Text has no such bytes; an unasked pong would do no harm. */
const PING = Buffer.from([0x89, 0]);
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

let heardAt: number[] = [];

async function open(index: number): Promise<void> {
  const socket = connect({
    host: hostname,
    port: Number(port),
    // so that no address runs out of ports
    localAddress: `127.0.0.${2 + (index % 8)}`,
  });
  socket.on('close', () => {
    throw new Error(`socket ${index} was closed`);
  });
  await once(socket, 'connect');
  socket.write(UPGRADE);
  await answer(socket, '101 Switching Protocols');
  const authorization = `Bearer ${tokens[index % tokens.length]}`;
  socket.write(frameOf({ type: 'connection_init', payload: { authorization } }));
  await answer(socket, '"connection_ack"');
  socket.write(Buffer.concat([subscribe, ping]));
  await answer(socket, '"pong"');
  socket.on('data', (bytes) => {
    if (bytes.includes(PING)) socket.write(PONG);
    if (bytes.includes('"next"')) heardAt.push(performance.timeOrigin + performance.now());
  });
}

async function answer(socket: Socket, expected: string): Promise<void> {
  const [bytes] = await once(socket, 'data');
  if (!`${bytes}`.includes(expected)) throw new Error(`not ${expected}: ${bytes}`);
}

/** A text frame as clients send it (RFC 6455, 5.2), under a mask of zeros, which changes nothing. */
function frameOf(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const head =
    text.length < 126
      ? [0x81, 0x80 + text.length]
      : [0x81, 0x80 + 126, text.length >> 8, text.length & 255];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(4), text]);
}

for (let at = 0; at < count; at += AT_ONCE) {
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => open(at + i)));
}
process.send?.({ url, tokens: [] });

answerParent((question) => (question === 'use' ? useOf(process) : heard()));

/** When each phone heard (milliseconds since the Unix epoch), once all have. */
async function heard(): Promise<readonly number[]> {
  const until = performance.now() + PATIENCE_MS;
  while (heardAt.length < count) {
    if (performance.now() > until) throw new Error(`${heardAt.length} of ${count} have heard`);
    await systemClock.sleep(POLL_MS);
  }
  const moments = heardAt;
  heardAt = [];
  return moments;
}
