import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MAX_REQUEST_BYTES } from '../../src/transport/limits.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

describeWithDatabase('the HTTP side', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    api = await startApi(database());
    client = await api.client();
  });
  afterAll(() => api.close());

  const OPERATION = JSON.stringify({ query: '{ viewer { id } }' });
  const errorOf = async (response: Response) =>
    ((await response.json()) as { errors: [{ message: string; extensions: { code: string } }] })
      .errors[0];

  it('says that it is well', async () => {
    const response = await fetch(`${api.url}/healthz`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
  });

  const refused = [
    { what: 'malformed JSON', body: '{"query": ', reason: 'cannot be read' },
    { what: 'no JSON object', body: '"{ viewer { id } }"', reason: 'cannot be read' },
    { what: 'a list of operations', body: `[${OPERATION}]`, reason: 'batching' },
    { what: 'no query', body: '{}', reason: 'body' },
    {
      what: 'variables that are no object',
      body: '{"query": "{ viewer { id } }", "variables": 1}',
      reason: 'variables',
    },
  ];
  it.each(refused)('refuses $what as GraphQL clients expect it', async ({ body, reason }) => {
    const response = await client.post(body);
    expect(response.status).toBe(400);
    const { extensions, message } = await errorOf(response);
    expect(extensions.code).toBe('BAD_INPUT');
    expect(message).toContain(reason);
  });

  it('refuses a request of more bytes than it reads, naming the limit', async () => {
    const response = await client.post(`{"query": "${' '.repeat(MAX_REQUEST_BYTES)}"}`);
    expect(response.status).toBe(413);
    const { extensions, message } = await errorOf(response);
    expect(extensions.code).toBe('TOO_LARGE');
    expect(message).toContain('5242880');
  });

  it('does not unpack more bytes than it reads', async () => {
    const bomb = gzipSync(`{"query": "${' '.repeat(10 * MAX_REQUEST_BYTES)}"}`);
    expect(bomb.length).toBeLessThan(MAX_REQUEST_BYTES / 10);
    const response = await client.post(bomb, { 'content-encoding': 'gzip' });
    expect(response.status).toBe(413);
    expect((await errorOf(response)).extensions.code).toBe('TOO_LARGE');
  });

  it('asks who is there before it reads anything', async () => {
    const response = await new ApiClient(api.url, undefined).post('{"query": ');
    expect(response.status).toBe(401);
  });

  it.each([
    ['text/plain', 'a form that any web page may send'],
    ['application/x-www-form-urlencoded', 'another one'],
  ])('refuses content of type %s: %s', async (contentType) => {
    const response = await client.post(OPERATION, { 'content-type': contentType });
    expect(response.status).toBe(400);
    expect((await errorOf(response)).extensions.code).toBe('BAD_INPUT');
  });

  it('refuses mutations by GET', async () => {
    const query = encodeURIComponent('mutation { retrain(mode: "subject") { id } }');
    const response = await fetch(`${api.url}/graphql?query=${query}`, {
      headers: { authorization: `Bearer ${client.token}`, 'apollo-require-preflight': '1' },
    });
    expect(response.status).toBe(405);
    expect((await errorOf(response)).extensions.code).toBe('BAD_INPUT');
  });

  it('answers requests for anything else with 404', async () => {
    const response = await fetch(`${api.url}/graphql/else`);
    expect(response.status).toBe(404);
    expect((await errorOf(response)).message).toContain('/graphql/else');
  });

  it('does not say what it is built with', async () => {
    const response = await client.post(OPERATION);
    expect(response.headers.has('x-powered-by')).toBe(false);
  });

  it('frees the row of an answer whose client has left, and keeps what there is of it', async () => {
    api.engine.stall();
    const call = new AbortController();
    const query =
      'mutation { complete(input: {mode: "subject", input: {body: "Hello"}}) { text } }';
    const answer = client.post(JSON.stringify({ query }), {}, call.signal).catch(() => 'left');
    await api.engine.stalled();
    expect(api.engine.rowCount).toBe(1);
    call.abort();
    expect(await answer).toBe('left');
    const stored =
      '{ viewer { completions { edges { node { text finishReason completionTokens } } } } }';
    await expect
      .poll(async () => (await client.ask(stored)).viewer.completions.edges)
      .toEqual([{ node: { text: 'The plumber', finishReason: 'CANCELLED', completionTokens: 2 } }]);
    expect(api.engine.rowCount).toBe(0);
    api.engine.letGo();
  });

  it('gives answers under way a moment when it stops, and takes no new requests', async () => {
    const other = await startApi(database());
    const phone = await other.client();
    other.engine.stall();
    const query =
      'mutation { complete(input: {mode: "subject", input: {body: "Hello"}}) { text } }';
    const answer = phone.ask(query);
    await other.engine.stalled();
    const closed = other.close();
    await expect(fetch(`${other.url}/healthz`)).rejects.toThrow();
    other.engine.letGo();
    expect(await answer).toEqual({ complete: { text: 'The plumber comes on Friday' } });
    await closed;
  });

  it('ends answers that take too long when it stops', async () => {
    const other = await startApi(database());
    const phone = await other.client();
    other.engine.stall();
    const query =
      'mutation { complete(input: {mode: "subject", input: {body: "Hello"}}) { text } }';
    const answer = phone.ask(query).catch(() => 'ended');
    await other.engine.stalled();
    await other.close();
    expect(await answer).toBe('ended');
    expect(other.engine.rowCount).toBe(0);
  });
});
