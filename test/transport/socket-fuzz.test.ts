// Sockets on which anything may come: broken UTF-8, messages in a wrong order, ids twice, frames of every kind.

import { once } from 'node:events';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { systemClock } from '../../src/lib/clock.ts';
import { MAX_REQUEST_BYTES } from '../../src/transport/limits.ts';
import { openRateLimits, ratesOf } from '../../src/transport/rate-limits.ts';
import { fullStore } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { soakLimitMs, soakRuns } from '../support/soak.ts';

/** Words of our own inside that no client should read. */
const INTERNALS = /node_modules|\.ts:\d|select "|syntax error at|ECONN|stacktrace|Kysely|must hold/;
/** How the protocol, WebSocket itself and our limits close sockets; 4500 would be our fault, 1006 a crash. */
const CLOSES = [1000, 1002, 1003, 1007, 1009, 4400, 4401, 4406, 4408, 4409, 4429];

const id = fc.constantFrom('1', '1', '2', '', 'x'.repeat(1000));
const payload = fc.oneof(
  fc.constantFrom(
    { query: '{ viewer { id } }' },
    { query: 'subscription { adapterEvents { __typename } }' },
    { query: 'subscription { completionTokens(input: {mode: "x", input: 1}) { __typename } }' },
    { query: '{ viewer' },
    { query: 1 },
    { query: '{ viewer { id } }', variables: [], operationName: 7 },
  ),
  fc.jsonValue(),
);
const message = fc.oneof(
  fc.record({ type: fc.constantFrom('subscribe', 'complete', 'next', 'error'), id, payload }),
  fc.record({ type: fc.constantFrom('ping', 'pong', 'connection_init', 'nonsense'), payload }),
  fc.jsonValue(),
);
const frame = fc.oneof(
  { weight: 6, arbitrary: message.map((one) => Buffer.from(JSON.stringify(one))) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)) },
  // sent as text that is no UTF-8
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.constant(Buffer.alloc(MAX_REQUEST_BYTES + 1, '[')) },
);
const life = fc.record({
  saysHello: fc.boolean(),
  frames: fc.array(fc.record({ frame, binary: fc.boolean() }), { minLength: 1, maxLength: 8 }),
  leaves: fc.constantFrom('close', 'terminate'),
});

describeWithDatabase('a server whose sockets get anything', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    const rates = openRateLimits(ratesOf(false));
    api = await startApi(database(), systemClock, fullStore, { rates });
    client = await api.client();
  });
  afterAll(() => api.close());

  it(
    'closes them by the rules, and says nothing of its inside',
    async () => {
      const lives = fc.asyncProperty(life, async ({ saysHello, frames, leaves }) => {
        const url = `${api.url.replace('http', 'ws')}/graphql`;
        const socket = new WebSocket(url, 'graphql-transport-ws');
        const heard: string[] = [];
        socket.on('message', (text) => heard.push(`${text}`)).on('error', () => undefined);
        const closed = once(socket, 'close');
        await once(socket, 'open');
        if (saysHello) {
          const hello = { authorization: `Bearer ${client.token}` };
          socket.send(JSON.stringify({ type: 'connection_init', payload: hello }));
          await once(socket, 'message');
        }
        for (const { frame: bytes, binary } of frames) socket.send(bytes, { binary });
        // a server that still reads answers this
        socket.ping();
        await Promise.race([once(socket, 'pong'), closed]);
        const left = socket.readyState === WebSocket.OPEN;
        if (left) socket[leaves]();
        const [code] = await closed;
        if (!left) expect(CLOSES).toContain(code);
        expect(heard.join('\n')).not.toMatch(INTERNALS);
        expect(heard.join('\n')).not.toContain('"INTERNAL"');
      });
      await fc.assert(lives, { numRuns: soakRuns(60) });
      expect((await client.first('{ viewer { id } }')).errors).toBeUndefined();
      await expect.poll(() => api.countSockets()).toBe(0);
    },
    soakLimitMs(),
  );
});
