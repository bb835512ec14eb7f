// The limits of sockets: how many, how much on each, and how often one may begin.

import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import WebSocket from 'ws';
import { systemClock } from '../../src/lib/clock.ts';
import { LIMITS } from '../../src/transport/limits.ts';
import { openRateLimits, RATES } from '../../src/transport/rate-limits.ts';
import { fullStore } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const VIEWER = '{ viewer { id } }';
const RUNS = 'subscription { trainingRuns { id } }';

describeWithDatabase('a server with limits of sockets', (database) => {
  let api: Api;
  afterEach(() => api.close());
  const start = async (protection: Parameters<typeof startApi>[3]) => {
    api = await startApi(database(), systemClock, fullStore, protection);
    return api;
  };

  it('counts what an address does on its sockets, be it valid or not', async () => {
    const rates = openRateLimits({ ...RATES, address: { points: 4, seconds: 60 } });
    const socket = (await (await start({ rates })).client()).socket();
    // keeps it open: with the socket itself that is half of it
    const ended = socket.iterate({ query: RUNS }).next();
    const ask = (query: string) =>
      socket
        .iterate({ query })
        .next()
        .catch((errors) => ({ value: { errors } }));
    expect((await ask(VIEWER)).value?.data).toMatchObject({ viewer: {} });
    expect((await ask('{')).value?.errors).toMatchObject([{ extensions: { code: 'BAD_INPUT' } }]);
    expect((await ask('{')).value?.errors).toMatchObject([
      { extensions: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) } },
    ]);
    await socket.dispose();
    await ended;
  });

  it('counts sockets that say nothing', async () => {
    const rates = openRateLimits({ ...RATES, address: { points: 1, seconds: 60 } });
    const url = `${(await start({ rates })).url.replace('http', 'ws')}/graphql`;
    const first = new WebSocket(url, 'graphql-transport-ws');
    await once(first, 'open');
    expect((await once(new WebSocket(url, 'graphql-transport-ws'), 'close'))[0]).toBe(4429);
    first.terminate();
  });

  it('limits the operations of one socket', async () => {
    await start({ limits: { ...LIMITS, operationsPerSocket: 2 } });
    const socket = (await api.client()).socket();
    const streams = [1, 2].map(() => socket.iterate({ query: RUNS }));
    const waiting = streams.map((events) => events.next());
    await expect(socket.iterate({ query: VIEWER }).next()).rejects.toMatchObject([
      { extensions: { code: 'RATE_LIMITED', retryAfterMs: 1000 } },
    ]);
    await streams[0]?.return?.();
    const answer = () =>
      socket
        .iterate({ query: VIEWER })
        .next()
        .catch(() => undefined);
    await expect.poll(async () => (await answer())?.value?.data).toMatchObject({ viewer: {} });
    await socket.dispose();
    await Promise.allSettled(waiting);
  });

  it('limits the sockets of one user, not those of others', async () => {
    await start({ limits: { ...LIMITS, socketsPerUser: 1 } });
    const [anna, bert] = [await api.client(), await api.client()];
    const socket = anna.socket();
    const ended = socket.iterate({ query: RUNS }).next();
    await socket.iterate({ query: VIEWER }).next();
    expect(await closeOf(anna)).toMatchObject({ code: 4429 });
    expect((await bert.first(VIEWER)).data).toMatchObject({ viewer: {} });
    await socket.dispose();
    await ended;
    await expect
      .poll(async () => (await anna.first(VIEWER).catch(() => undefined))?.data)
      .toBeDefined();
  });
});

/** How the server closes the socket. */
function closeOf(client: ApiClient): Promise<unknown> {
  const events = client.socket().iterate({ query: VIEWER });
  return events.next().catch((event) => event);
}
