// GraphQL over HTTP as others check it: the audits of graphql-http, and what scanners for careless servers look for.

import { type AuditResult, auditServer } from 'graphql-http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { fullStore } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api-client.ts';
import { type Api, startApi } from '../support/api-server.ts';
import { describeWithDatabase } from '../support/databases.ts';

/** How the audits call fetch. */
interface Request extends RequestInit {
  readonly headers?: Record<string, string>;
}

const many = (count: number, text: string) => text.repeat(count);

describeWithDatabase('a server that is open to the world', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    api = await startApi(database(), systemClock, fullStore, { isProduction: true });
    client = await api.client();
  });
  afterAll(() => api.close());

  const request = (path: string, init: RequestInit = {}) =>
    fetch(`${api.url}/graphql${path}`, {
      ...init,
      headers: { authorization: `Bearer ${client.token}`, ...init.headers },
    });
  it('passes every audit of graphql-http, some of which ask for introspection', async () => {
    const open = await startApi(database());
    const authorization = `Bearer ${(await open.client()).token}`;
    const fetchFn = (url: string, { headers, ...init }: Request = {}) =>
      fetch(url, { ...init, headers: { authorization, ...headers } });
    const results: AuditResult[] = await auditServer({ url: `${open.url}/graphql`, fetchFn });
    expect(results.length).toBeGreaterThan(60);
    expect(results.filter(({ status }) => status !== 'ok').map(({ name }) => name)).toEqual([]);
    await open.close();
  });

  const probes: readonly [string, string][] = [
    [
      'a hundred aliases',
      `{ ${Array.from({ length: 101 }, (_, n) => `alias${n}: __typename`).join(' ')} }`,
    ],
    ['one field five hundred times', `{ ${many(500, '__typename ')} }`],
    ['directives piled up', `{ __typename ${many(50, '@include(if: true)')} }`],
    [
      'introspection in circles',
      '{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }',
    ],
    ['introspection', '{ __schema { queryType { name } } }'],
  ];
  it.each(probes)('refuses %s', async (_, query) => {
    const { status, data, errors } = await client.send(query);
    expect([status, data]).toEqual([400, undefined]);
    expect(errors[0]?.extensions.code).toBe('BAD_INPUT');
  });

  it('refuses batches', async () => {
    const operation = JSON.stringify({ query: '{ __typename }' });
    const response = await client.post(`[${Array(10).fill(operation).join(',')}]`);
    expect(response.status).toBe(400);
  });

  it('does not repeat unknown directives one by one', async () => {
    const { errors } = await client.send(`{ __typename ${many(10, '@aa')} }`);
    expect(errors.length).toBeLessThan(10);
  });

  it('suggests no names', async () => {
    const { errors } = await client.send('{ viewr { id } }');
    expect(JSON.stringify(errors)).not.toMatch(/did you mean/i);
  });

  it.each(['/graphiql/page.js', '/playground', '/console', '/graphql/console'])(
    'has no query editor at %s',
    async (path) => {
      const response = await fetch(`${api.url}${path}`, { headers: { accept: 'text/html' } });
      expect(response.status).toBe(404);
    },
  );

  it('runs nothing by GET that a link could start, nor mutations by any GET', async () => {
    expect((await fetch(`${api.url}/graphql?query={__typename}`)).status).toBe(401);
    const mutation = encodeURIComponent('mutation { __typename }');
    expect((await request(`?query=${mutation}`)).status).toBe(405);
  });

  it('runs nothing that a form could send', async () => {
    const response = await request('', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'query=%7B__typename%7D',
    });
    expect(response.status).toBe(400);
  });

  it('gives no traces away, not when asked for them either', async () => {
    const response = await client.post(JSON.stringify({ query: '{ viewer { id } }' }), {
      'apollo-federation-include-trace': 'ftv1',
      'apollo-tracing': '1',
    });
    expect(await response.json()).not.toHaveProperty('extensions');
    const { errors } = await client.send('{ node(id: "nonsense") { id } }');
    expect(JSON.stringify(errors)).not.toContain('stacktrace');
  });
});
