import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { systemClock } from '../../src/lib/clock.ts';
import { LIMITS, MAX_REQUEST_BYTES } from '../../src/transport/limits.ts';
import { fullStore } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const STREAM = `subscription { completionTokens(input: {mode: "subject", input: {body: "Hello"}}) {
  ... on CompletionChunk { index text } ... on CompletionDone { completion { finishReason } } } }`;

describeWithDatabase('a socket', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    api = await startApi(database());
    client = await api.client();
  });
  afterAll(() => api.close());

  /** A socket without a GraphQL client on top. */
  const bare = async (protocols = ['graphql-transport-ws']) => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/graphql`, protocols);
    await once(socket, 'open');
    const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: `${reason}` }));
    return { socket, closed };
  };

  it('carries many operations at once', async () => {
    const socket = client.socket();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => socket.iterate({ query: '{ viewer { id } }' }).next()),
    );
    expect(new Set(answers.map(({ value }) => JSON.stringify(value)))).toHaveLength(1);
    await socket.dispose();
  });

  it('frees the row of an answer that is no longer wanted, and keeps what there is of it', async () => {
    const socket = client.socket();
    api.engine.stall();
    const events = socket.iterate({ query: STREAM });
    expect((await events.next()).value?.data).toEqual({
      completionTokens: { index: 0, text: 'The' },
    });
    await events.next();
    await api.engine.stalled();
    expect(api.engine.rowCount).toBe(1);
    await events.return?.();
    await expect.poll(() => api.engine.rowCount).toBe(0);
    const stored = '{ viewer { completions { edges { node { text finishReason } } } } }';
    await expect
      .poll(async () => (await client.ask(stored)).viewer.completions.edges)
      .toEqual([{ node: { text: 'The plumber', finishReason: 'CANCELLED' } }]);
    api.engine.letGo();
    await socket.dispose();
  });

  it('frees the rows of its answers when it breaks', async () => {
    api.engine.stall();
    const { socket } = await bare();
    socket.send(
      JSON.stringify({
        type: 'connection_init',
        payload: { authorization: `Bearer ${client.token}` },
      }),
    );
    await once(socket, 'message');
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: STREAM } }));
    await api.engine.stalled();
    socket.terminate();
    await expect.poll(() => api.engine.rowCount).toBe(0);
    api.engine.letGo();
  });

  it('ends a subscription that waits for something that does not come', async () => {
    const socket = client.socket();
    const runs = socket.iterate({ query: 'subscription { trainingRuns { id } }' });
    const first = runs.next();
    // the server answers in order, so the subscription has begun by then
    await socket.iterate({ query: '{ viewer { id } }' }).next();
    await runs.return?.();
    expect(await first).toMatchObject({ done: true });
    await socket.dispose();
  });

  it('is closed when it sends no GraphQL', async () => {
    const { socket, closed } = await bare();
    socket.send('hello');
    expect(await closed).toMatchObject({ code: 4400 });
  });

  it('is closed when it says what only servers say', async () => {
    const { socket, closed } = await bare();
    socket.send(JSON.stringify({ type: 'next', id: '1', payload: {} }));
    expect(await closed).toMatchObject({ code: 4400 });
  });

  it('is closed when it asks before it has said who it is', async () => {
    const { socket, closed } = await bare();
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: STREAM } }));
    expect(await closed).toMatchObject({ code: 4401 });
  });

  it('is closed when it does not say who it is in time', async () => {
    const limits = { ...LIMITS, socketInitMs: 20 };
    const other = await startApi(database(), systemClock, fullStore, { limits });
    const socket = new WebSocket(`${other.url.replace('http', 'ws')}/graphql`, [
      'graphql-transport-ws',
    ]);
    expect((await once(socket, 'close'))[0]).toBe(4408);
    await other.close();
  });

  it('is closed when it sends more than is read', async () => {
    const { socket, closed } = await bare();
    socket.send('x'.repeat(MAX_REQUEST_BYTES + 1));
    expect(await closed).toMatchObject({ code: 1009 });
  });

  it('is closed when it says a lot before it has said who it is', async () => {
    const { socket, closed } = await bare();
    socket.send('x'.repeat(3 * LIMITS.socketInitBytes));
    expect(await closed).toMatchObject({ code: 1009, reason: 'Say who you are first' });
  });

  it('may say as much as is read once it has', async () => {
    const { socket } = await bare();
    const payload = { authorization: `Bearer ${client.token}` };
    socket.send(JSON.stringify({ type: 'connection_init', payload }));
    await once(socket, 'message');
    const variables = { unused: 'x'.repeat(2 * LIMITS.socketInitBytes) };
    const query = '{ viewer { id } }';
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables } }));
    const [answer] = await once(socket, 'message');
    expect(JSON.parse(`${answer}`)).toMatchObject({ type: 'next' });
    socket.close();
  });

  it('that does not speak the protocol is closed', async () => {
    const { closed } = await bare([]);
    expect(await closed).toMatchObject({ code: 4406 });
  });

  const DAY_MS = 24 * 3600 * 1000;

  it('is closed when its token has expired', async () => {
    const clock = handClock(Date.now());
    const other = await startApi(database(), clock);
    const socket = (await other.client()).socket();
    const runs = socket.iterate({ query: 'subscription { trainingRuns { id } }' });
    const ended = runs.next().catch((event) => event);
    await socket.iterate({ query: '{ viewer { id } }' }).next();
    await clock.advance(31 * DAY_MS);
    expect(await ended).toMatchObject({ code: 4403, reason: 'the token has expired' });
    await other.close();
  });

  it('whose client does not answer pings is cut off', async () => {
    const clock = handClock(Date.now());
    const other = await startApi(database(), clock);
    const address = `${other.url.replace('http', 'ws')}/graphql`;
    const socket = new WebSocket(address, 'graphql-transport-ws', { autoPong: false });
    const closed = once(socket, 'close');
    const pinged = once(socket, 'ping');
    await once(socket, 'open');
    await clock.advance(30_000);
    await pinged;
    await clock.advance(30_000);
    expect((await closed)[0]).toBe(1006);
    await other.close();
  });

  it('is told to go elsewhere when the server stops', async () => {
    const other = await startApi(database());
    const phone = await other.client();
    const socket = phone.socket();
    const runs = socket.iterate({ query: 'subscription { trainingRuns { id } }' });
    const ended = runs.next().catch((event) => event);
    await socket.iterate({ query: '{ viewer { id } }' }).next();
    await other.close();
    expect(await ended).toMatchObject({ code: 1001 });
  });
});
