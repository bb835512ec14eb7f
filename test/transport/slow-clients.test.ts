// Clients that take their time, on real sockets: none of them holds the server up, and none loses anything in silence.

import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { systemClock } from '../../src/lib/clock.ts';
import { LIMITS } from '../../src/transport/limits.ts';
import { fullStore } from '../adapters/fixture.ts';
import { mail, PUSH, phone, publish, REGISTER } from '../schema/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const EVENTS = `subscription ($after: Cursor) { adapterEvents(after: $after) {
  ... on AdapterReady { cursor adapter { version } } } }`;
const RECORDS = '{ viewer { records { edges { node { data } } } } }';

describeWithDatabase('a client', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    const limits = { ...LIMITS, requestMs: 300, socketQueueBytes: 1_000_000 };
    api = await startApi(database(), systemClock, fullStore, { limits });
    client = await api.client();
  });
  afterAll(() => api.close());

  const HEAD = 'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  it.each([
    ['its headers', () => HEAD],
    [
      'its body',
      () => `${HEAD}Authorization: Bearer ${client.token}\r\nContent-Length: 100\r\n\r\n{"query": `,
    ],
  ])('that does not finish %s is told so, and cut off', async (_, start) => {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(start());
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('that does not read is cut off, and gets all events from its cursor on', async () => {
    await client.ask(REGISTER, { input: phone });
    const large = (n: number) => ({
      ...mail(n),
      data: { ...mail(n).data, body: 'x'.repeat(200_000) },
    });
    const changes = [1, 2, 3, 4, 5].map(large);
    await client.ask(PUSH, { input: { deviceId: phone.deviceId, changes } });
    await publish(api, client, 'first');
    const { socket, say, heard } = await openSocket(client);
    say('events', { query: EVENTS });
    await expect.poll(() => heard.events).toHaveLength(1);
    socket.pause();
    for (let n = 0; n < 30; n += 1) say(`large-${n}`, { query: RECORDS });
    const versions: number[] = [];
    for (const content of ['second', 'third', 'fourth']) {
      versions.push((await publish(api, client, content)).version);
    }
    const closed = once(socket, 'close');
    await expect.poll(() => api.countSockets()).toBe(0);
    socket.resume();
    expect((await closed)[0]).toBe(1006);
    const seen = heard.events ?? [];
    const again = await openSocket(client);
    again.say('events', { query: EVENTS, variables: { after: seen.at(-1)?.cursor } });
    await expect
      .poll(() => [...seen, ...(again.heard.events ?? [])].map(({ adapter }) => adapter.version))
      .toEqual([1, ...versions]);
    again.socket.close();
  });

  // more than the kernel takes for a socket that is not read; answers wait in the server then, each larger than its bytes
  const PINGS: readonly [string, Buffer][] = [
    ['WebSocket', frameOf(9, 'x'.repeat(125))],
    ['GraphQL', frameOf(1, JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(9_000) } }))],
  ];
  it.each(PINGS)('that sends pings of %s and reads no answer is cut off', async (_, ping) => {
    // by how many wait, however few bytes they are
    const queue = { socketQueueBytes: Number.POSITIVE_INFINITY, socketQueueMessages: 100 };
    const limits = { ...LIMITS, socketInitBytes: Number.POSITIVE_INFINITY, ...queue };
    const other = await startApi(database(), systemClock, fullStore, { limits });
    const { hostname, port } = new URL(other.url);
    const socket = connect(Number(port), hostname);
    socket.write(UPGRADE);
    expect(`${await once(socket, 'data')}`).toMatch(/^HTTP\/1.1 101 /);
    socket.pause();
    expect(other.countSockets()).toBe(1);
    socket.on('error', () => undefined);
    const some = Buffer.concat(Array.from({ length: Math.ceil(1e6 / ping.length) }, () => ping));
    for (let n = 0; n < 40 && other.countSockets() > 0; n += 1) {
      socket.write(some);
      const isTaken = () => socket.writableLength === 0 || other.countSockets() === 0;
      await expect.poll(isTaken).toBe(true);
    }
    await expect.poll(() => other.countSockets()).toBe(0);
    socket.destroy();
    await other.close();
  });

  it('that reads one subscription slowly does not keep others waiting', async () => {
    const { socket } = await openSocket(client);
    socket.pause();
    const other = await api.client();
    await publish(api, other, 'of another');
    const { heard, say, socket: quick } = await openSocket(other);
    say('events', { query: EVENTS });
    await expect.poll(() => heard.events).toHaveLength(1);
    quick.close();
    socket.terminate();
  });
});

const UPGRADE = [
  'GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket',
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==`,
  'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
].join('\r\n');

/** A frame as clients send it (RFC 6455, 5.2), under a mask of zeros, which changes nothing. */
function frameOf(opcode: number, content: string): Buffer {
  const { length } = content;
  const size = length < 126 ? [0x80 + length] : [0x80 + 126, length >> 8, length & 255];
  return Buffer.concat([
    Buffer.from([0x80 + opcode, ...size]),
    Buffer.alloc(4),
    Buffer.from(content),
  ]);
}

interface Event {
  readonly cursor: string;
  readonly adapter: { readonly version: number };
}

/** A socket without a client library, so that it can stop to read; what it heard, by operation. */
async function openSocket({ url, token }: ApiClient) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const heard: Record<string, Event[]> = {};
  socket.on('message', (message) => {
    const { id, type, payload } = JSON.parse(`${message}`);
    if (type === 'next') heard[id] = [...(heard[id] ?? []), payload.data?.adapterEvents];
  });
  await once(socket, 'open');
  const send = (message: object) => socket.send(JSON.stringify(message));
  send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
  await once(socket, 'message');
  const say = (id: string, payload: object) => send({ id, type: 'subscribe', payload });
  return { socket, heard, say };
}
