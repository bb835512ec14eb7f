// Every rule of the gate, over both transports: neither has one of its own.

import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AppError, ERROR_CODES, type ErrorCode } from '../../src/lib/errors.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

describeWithDatabase('every operation', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    api = await startApi(database());
    client = await api.client();
  });
  afterAll(() => api.close());

  const VIEWER = '{ viewer { id } }';
  const COMPLETE =
    'mutation { complete(input: {mode: "subject", input: {body: "Hello"}}) { text } }';

  it('is answered the same way', async () => {
    const { data } = await client.send(VIEWER);
    expect(data.viewer.id).toMatch(/^[\w-]+$/);
    expect(await client.first(VIEWER)).toMatchObject({ data });
  });

  it('tells how likely the tokens of an answer were', async () => {
    const query = `mutation { complete(input: {mode: "subject", input: {body: "Hello"}, maxTokens: 1, topLogprobs: 1}) {
      logprobs { token logprob topLogprobs { token logprob } } } }`;
    const { data } = await client.send(query);
    const certain = { token: 'The', logprob: 0 };
    expect(data.complete.logprobs).toEqual([{ ...certain, topLogprobs: [certain] }]);
    expect(await client.first(query)).toMatchObject({ data });
    const unasked = await client.send(query.replace(', topLogprobs: 1}', '}'));
    expect(unasked.data.complete.logprobs).toBeNull();
  });

  const foreignKey = new Uint8Array(32);
  const strangers: readonly [string, () => Promise<string | undefined>][] = [
    ['no token', () => Promise.resolve(undefined)],
    ['nonsense for a token', () => Promise.resolve('nonsense')],
    [
      "another server's token",
      () =>
        new SignJWT({ sub: 'anna', iss: 'attune', aud: 'attune' })
          .setProtectedHeader({ alg: 'HS256' })
          .setExpirationTime('1h')
          .sign(foreignKey),
    ],
  ];
  it.each(strangers)('is refused with %s: 401 and close code 4401', async (_, makeToken) => {
    const stranger = new ApiClient(api.url, await makeToken());
    const { status, headers, data, errors } = await stranger.send(VIEWER);
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Bearer');
    expect(data).toBeUndefined();
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
    expect(errors[0]?.message).toContain('npm run -s attune -- token');
    expect(await closeOf(stranger, VIEWER)).toMatchObject({ code: 4401 });
  });

  it('is refused with a token for something else: 403 and close code 4403', async () => {
    const reader = new ApiClient(api.url, await api.token('anna', { scope: 'mail.read' }));
    const { status, errors } = await reader.send(VIEWER);
    expect(status).toBe(403);
    expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    expect(await closeOf(reader, VIEWER)).toMatchObject({ code: 4403 });
    const both = new ApiClient(api.url, await api.token('anna', { scope: 'mail.read device' }));
    expect((await both.send(VIEWER)).errors).toEqual([]);
  });

  it.each(['authorization', 'Authorization'])(
    'takes the token from %s of connection_init',
    async (name) => {
      const socket = client.socket({ [name]: `Bearer ${client.token}` });
      const { value } = await socket.iterate({ query: VIEWER }).next();
      expect(value?.data).toMatchObject({ viewer: {} });
      await socket.dispose();
    },
  );

  it.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    'reports %s with its code, and over HTTP with its status',
    async (code) => {
      api.engine.failure =
        code === 'INTERNAL'
          ? new Error('the secret of anna')
          : new AppError(code, `what went wrong (${code})`, { retryAfterMs: 1500 });
      const { status, headers, errors } = await client.send(COMPLETE);
      const overWs = await client.first(COMPLETE);
      api.engine.failure = null;
      expect(status).toBe(ERROR_CODES[code].httpStatus);
      expect(errors).toMatchObject([{ path: ['complete'], extensions: { code } }]);
      expect(overWs.errors).toMatchObject([{ path: ['complete'], extensions: { code } }]);
      if (code === 'INTERNAL') {
        expect(JSON.stringify([errors, overWs])).not.toContain('anna');
        for (const one of [errors[0], overWs.errors?.[0]]) {
          const errorId = String(one?.extensions['errorId' as never]);
          expect(errorId).toMatch(/^[0-9a-f-]{36}$/);
          expect(api.log.join('')).toContain(errorId);
        }
      } else {
        expect(errors[0]).toMatchObject({
          message: `what went wrong (${code})`,
          extensions: { retryAfterMs: 1500 },
        });
        expect(headers.get('retry-after')).toBe('2');
      }
    },
  );

  const unreadable: readonly [string, string, Record<string, unknown>][] = [
    ['is no GraphQL', '{ viewer', {}],
    ['asks for a field that there is not', '{ viewer { password } }', {}],
    ['has a value of the wrong type', '{ node(id: {}) { id } }', {}],
    ['lacks a variable', 'query ($id: ID!) { node(id: $id) { id } }', {}],
    ['names no operation of several', 'query a { viewer { id } } query b { viewer { id } }', {}],
    ['is nested beyond reason', `${'{viewer'.repeat(20_000)}${'}'.repeat(20_000)}`, {}],
    ['is endless', `{ ${'viewer { id } '.repeat(40_000)} }`, {}],
  ];
  it.each(unreadable)(
    'is refused as BAD_INPUT when the document %s',
    async (_, query, variables) => {
      const { status, errors } = await client.send(query, variables);
      expect(status).toBe(400);
      expect(errors[0]?.extensions.code).toBe('BAD_INPUT');
      const { errors: overWs } = await client.first(query, variables);
      expect(overWs?.[0]?.extensions.code).toBe('BAD_INPUT');
    },
  );
});

/** How the server closes the socket. */
function closeOf(client: ApiClient, query: string): Promise<unknown> {
  return client
    .socket()
    .iterate({ query })
    .next()
    .catch((event) => event);
}
