// The limits of the gate, each over both transports.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { LIMITS } from '../../src/transport/limits.ts';
import { openRateLimits, RATES, ratesOf } from '../../src/transport/rate-limits.ts';
import { findDocumentIn } from '../../src/transport/trusted-documents.ts';
import { fullStore } from '../adapters/fixture.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const VIEWER = '{ viewer { id } }';
const COMPLETE =
  'mutation { complete(input: {mode: "subject", input: {body: "Hello"}}) { finishReason } }';
const STREAM =
  'subscription { completionTokens(input: {mode: "subject", input: {body: "Hello"}}) { __typename } }';
const many = (count: number, write: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => write(index)).join(' ');

describeWithDatabase('a server with limits', (database) => {
  const opened: Api[] = [];
  const start = async (protection: Parameters<typeof startApi>[3]) => {
    const api = await startApi(database(), systemClock, fullStore, protection);
    opened.push(api);
    return api;
  };
  let client: ApiClient;
  beforeAll(async () => {
    client = await (await start({})).client();
  });
  afterAll(async () => {
    for (const api of opened) await api.close();
  });

  /** The error's code and message, the same over HTTP and a socket. */
  const refusalOf = async (asker: ApiClient, query: string, variables = {}) => {
    const { status, headers, data, errors } = await asker.send(query, variables);
    const overWs = await asker.first(query, variables);
    expect(data ?? null).toBeNull();
    expect(overWs.errors?.map(({ extensions }) => extensions.code)).toEqual(
      errors.map(({ extensions }) => extensions.code),
    );
    return { status, headers, errors, wsErrors: overWs.errors ?? [], ...errors[0] };
  };

  const deep = (levels: number) =>
    `{ viewer { modes { ${'adapter { parent { '.repeat(levels)} id ${'} }'.repeat(levels)} } } }`;
  const tooLarge: readonly [string, string, string][] = [
    ['characters', `${'#\n'.repeat(LIMITS.characters / 2)} ${VIEWER}`, 'characters come to'],
    ['tokens', `{ viewer { ${many(LIMITS.tokens, () => 'id')} } }`, 'tokens'],
    ['fields', `{ viewer { ${many(LIMITS.fields, () => 'id')} } }`, 'fields come to 401'],
    [
      'fields in fragments that are spread again and again',
      `{ viewer { ...a } } fragment a on User { ${many(20, () => '...b')} } fragment b on User { ${many(21, () => 'id')} }`,
      'fields come to 421',
    ],
    [
      'fields in a fragment that nobody spreads',
      `${VIEWER} fragment a on User { ${many(400, () => 'id')} }`,
      'fields come to 402',
    ],
    [
      'fields in a fragment of a name that another one has',
      `{ viewer { ...a } } fragment a on User { ${many(400, () => 'id')} } fragment a on User { id }`,
      'fields come to 402',
    ],
    [
      'directives of variables',
      `query ($a: Int ${many(31, () => '@a')}) { viewer { id } }`,
      'directives come to 31',
    ],
    ['aliases', `{ ${many(31, (index) => `a${index}: __typename`)} }`, 'aliases come to 31'],
    ['directives', `{ viewer { ${many(31, () => 'id @include(if: true)')} } }`, 'directives'],
    ['levels', deep(8), 'depth come to 19'],
    [
      'cost',
      `{ viewer { modes { adapters(first: 100) { edges { node { ${'parent { '.repeat(8)} id ${'} '.repeat(8)} } } } } } }`,
      'costs up to',
    ],
  ];
  it.each(tooLarge)('refuses documents of too many %s', async (_, query, message) => {
    const refusal = await refusalOf(client, query);
    expect(refusal.status).toBe(400);
    expect(refusal.extensions?.code).toBe('BAD_INPUT');
    expect(refusal.message).toContain(message);
  });

  it('reckons the cost with the values of variables, and with their defaults', async () => {
    const pages = (declared: string) =>
      `query (${declared}) { viewer { modes { adapters(first: $n) { edges { node { parent { parent { parent { parent { parent { parent { parent { parent { id } } } } } } } } } } } } } }`;
    expect((await client.send(pages('$n: Int!'), { n: 1 })).errors).toEqual([]);
    for (const refusal of [
      await refusalOf(client, pages('$n: Int!'), { n: 100 }),
      await refusalOf(client, pages('$n: Int = 100')),
    ]) {
      expect(refusal.message).toContain('costs up to');
    }
  });

  it('runs a document at the very limit', async () => {
    const query = `{ viewer { ${many(LIMITS.fields - 1, () => 'id')} } }`;
    expect((await client.send(query)).errors).toEqual([]);
  });

  it('tells at most five mistakes of one document', async () => {
    const { errors, wsErrors } = await refusalOf(client, `{ ${many(40, (index) => `x${index}`)} }`);
    // and that there are more
    expect(errors).toHaveLength(LIMITS.validationErrors + 1);
    expect(wsErrors).toHaveLength(LIMITS.validationErrors + 1);
  });

  it('is not kept busy by fragments that spread each other', async () => {
    const levels = many(60, (n) => `fragment f${n} on User { ...f${n + 1} ...f${n + 1} }`);
    const query = `{ viewer { ...f0 } } ${levels} fragment f60 on User { id }`;
    expect((await refusalOf(client, query)).message).toContain('fields come to');
    const circle = '{ viewer { ...a } } fragment a on User { id ...b } fragment b on User { ...a }';
    expect((await refusalOf(client, circle)).message).toContain('Cannot spread fragment');
  });

  it('cuts off answers that take too long', async () => {
    const api = await start({ limits: { ...LIMITS, operationMs: 50 } });
    const asker = await api.client();
    api.engine.stall();
    const answer = { complete: { finishReason: 'CANCELLED' } };
    expect((await asker.send(COMPLETE)).data).toEqual(answer);
    expect((await asker.first(COMPLETE)).data).toEqual(answer);
    api.engine.letGo();
  });

  it.each([
    ['user', VIEWER],
    ['completionTokens', COMPLETE],
  ] as const)('limits the rate per %s, and says when to come back', async (name, query) => {
    const rates = openRateLimits({ ...RATES, [name]: { points: 1, seconds: 60 } });
    const api = await start({ rates });
    const asker = await api.client();
    if (name === 'user') expect((await asker.send(query)).errors).toEqual([]);
    const refusal = await refusalOf(asker, query);
    expect(refusal.status).toBe(429);
    expect(refusal.extensions?.code).toBe('RATE_LIMITED');
    expect(refusal.extensions?.retryAfterMs).toBeGreaterThan(0);
    expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await (await api.client()).send(VIEWER)).errors).toEqual([]);
  });

  it('limits the rate per device that tokens name, not that of others', async () => {
    const rates = openRateLimits({ ...RATES, device: { points: 1, seconds: 60 } });
    const api = await start({ rates });
    const on = async (device: string) =>
      new ApiClient(api.url, await api.token('anna', { device }));
    const phone = await on('phone');
    expect((await phone.send(VIEWER)).errors).toEqual([]);
    expect((await refusalOf(phone, VIEWER)).status).toBe(429);
    expect((await (await on('tablet')).send(VIEWER)).errors).toEqual([]);
  });

  it('counts tokens of streamed answers as well', async () => {
    const rates = openRateLimits({ ...RATES, completionTokens: { points: 1, seconds: 60 } });
    const asker = await (await start({ rates })).client();
    expect((await asker.first(STREAM)).errors).toMatchObject([
      { extensions: { code: 'RATE_LIMITED' } },
    ]);
  });

  it('limits the rate per address: 429 and close code 4429, refused requests counting more', async () => {
    const rates = openRateLimits({ ...RATES, address: { points: 80, seconds: 60 } });
    const api = await start({ rates });
    const stranger = new ApiClient(api.url, 'nonsense');
    expect((await stranger.send(VIEWER)).status).toBe(401);
    expect((await stranger.send(VIEWER)).status).toBe(429);
    const asker = await api.client();
    expect((await asker.send(VIEWER)).status).toBe(429);
    expect(await closeOf(asker)).toMatchObject({ code: 4429 });
    expect((await fetch(`${api.url}/adapters/x/y`)).status).toBe(429);
  });

  it('reckons a page of the feed as large as it is when nobody says how large', async () => {
    const api = await start({ limits: { ...LIMITS, cost: 100 } });
    const feed = (args: string) =>
      `{ viewer { adapterFeed${args} { ... on AdapterFeedPage { events { ... on AdapterReady { adapter { id } } } } } } }`;
    const asker = await api.client();
    expect((await asker.send(feed('(first: 20)'))).errors).toEqual([]);
    expect((await refusalOf(asker, feed(''))).message).toContain('costs up to');
  });

  it('runs only the documents of a manifest, by id or by text, when it has one', async () => {
    const api = await start({ findDocument: findDocumentIn(new Map([['viewer-id', VIEWER]])) });
    const asker = await api.client();
    expect((await asker.send(VIEWER)).errors).toEqual([]);
    expect(await refusalOf(asker, '{ viewer { id __typename } }')).toMatchObject({
      status: 403,
      extensions: { code: 'FORBIDDEN' },
    });
    const requests = [
      { documentId: 'viewer-id' },
      { extensions: { persistedQuery: { version: 1, sha256Hash: 'viewer-id' } } },
    ];
    for (const request of requests) {
      const overHttp = await asker.post(JSON.stringify(request));
      expect(await overHttp.json()).toMatchObject({ data: { viewer: {} } });
      const socket = asker.socket();
      const { value } = await socket.iterate({ query: '', ...request }).next();
      expect(value?.data).toMatchObject({ viewer: {} });
      await socket.dispose();
    }
    const unknown = await asker.post(JSON.stringify({ documentId: 'other-id' }));
    expect(unknown.status).toBe(400);
    expect(await unknown.text()).toContain('other-id');
    const got = await fetch(`${api.url}/graphql?query={viewer{id}}`, {
      headers: { authorization: `Bearer ${asker.token}`, 'apollo-require-preflight': '1' },
    });
    expect(got.status).toBe(403);
  });

  it('tells nobody what the schema holds when it is open to the world', async () => {
    const api = await start({ isProduction: true });
    const asker = await api.client();
    expect((await refusalOf(asker, '{ __schema { types { name } } }')).status).toBe(400);
    const misspelt = await refusalOf(asker, '{ viewer { idd } }');
    const badValue = await refusalOf(
      asker,
      'mutation ($input: CompleteInput!) { complete(input: $input) { id } }',
      { input: { mode: 'subject', inputt: {} } },
    );
    for (const { errors, wsErrors } of [misspelt, badValue]) {
      expect(JSON.stringify([errors, wsErrors])).not.toMatch(/did you mean/i);
    }
    const page = await fetch(`${api.url}/graphql`, { headers: { accept: 'text/html' } });
    expect(page.status).toBe(401);
    expect((await fetch(`${api.url}/graphiql/page.js`)).status).toBe(404);
  });

  it('helps those who write queries while it is not', async () => {
    const { errors, wsErrors } = await refusalOf(client, '{ viewer { idd } }');
    for (const { message } of [...errors, ...wsErrors]) expect(message).toContain('Did you mean');
    expect((await client.ask('{ __schema { types { name } } }')).__schema.types).not.toEqual([]);
  });
});

/** How the server closes the socket. */
function closeOf(client: ApiClient): Promise<unknown> {
  const events = client.socket().iterate({ query: VIEWER });
  return events.next().catch((event) => event);
}

it('lets a server that is not in production take a hundred times as much', () => {
  expect(ratesOf(true)).toEqual(RATES);
  expect(ratesOf(false).user).toEqual({ points: 100 * RATES.user.points, seconds: 60 });
});
