// GraphQL over HTTP as others check it: the audits of graphql-http, and what scanners for careless servers look for.

import { type AuditResult, auditServer } from 'graphql-http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { fullStore } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

/** How the audits call fetch. */
interface Request extends RequestInit {
  readonly headers?: Record<string, string>;
}

const many = (count: number, text: string) => text.repeat(count);
const countsOf = (results: readonly AuditResult[]) =>
  Object.fromEntries(
    ['ok', 'notice', 'warn', 'error'].map((status) => [
      status,
      results.filter((result) => result.status === status).length,
    ]),
  );

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
  /** Introspection is part of the audits: the server is in production in all else. */
  const audit = async (refusesPlainGets: boolean) => {
    const given = { isProduction: false, refusesPlainGets };
    const open = await startApi(database(), systemClock, fullStore, given);
    const authorization = `Bearer ${(await open.client()).token}`;
    const fetchFn = (url: string, { headers, ...init }: Request = {}) =>
      fetch(url, { ...init, headers: { authorization, ...headers } });
    const results = await auditServer({ url: `${open.url}/graphql`, fetchFn });
    await open.close();
    return results;
  };

  it('passes all audits of graphql-http but for the three plain GETs that it refuses', async () => {
    const results = await audit(true);
    expect(countsOf(results)).toEqual({ ok: 58, notice: 3, warn: 0, error: 0 });
    const noticed = results.filter(({ status }) => status === 'notice');
    for (const { name } of noticed) expect(name).toContain('GET');
  });

  it('passes all audits of graphql-http while plain GETs are let through', async () => {
    expect(countsOf(await audit(false))).toEqual({ ok: 61, notice: 0, warn: 0, error: 0 });
  });

  /** Refused before anything was run. */
  const expectRefused = async (query: string) => {
    const { status, data, errors } = await client.send(query);
    expect([status, data]).toEqual([400, undefined]);
    expect(errors[0]?.extensions.code).toBe('BAD_INPUT');
    return errors;
  };
  const CIRCLE = many(4, 'fields { type { ');

  it('alias overloading: refuses a hundred aliases', async () => {
    const aliases = Array.from({ length: 101 }, (_, n) => `alias${n}: __typename`);
    await expectRefused(`query cop { ${aliases.join(' ')} }`);
  });

  it('array-based batching: refuses ten operations in one request', async () => {
    const operation = JSON.stringify({ query: 'query cop { __typename }' });
    const response = await client.post(`[${Array(10).fill(operation).join(',')}]`);
    expect(response.status).toBe(400);
    expect(await response.json()).not.toBeInstanceOf(Array);
  });

  it('directive overloading: says less than it was asked', async () => {
    const errors = await expectRefused(`query cop { __typename ${many(10, '@aa')} }`);
    expect(errors.length).toBeLessThan(10);
    await expectRefused(`query cop { __typename ${many(50, '@include(if: true)')} }`);
  });

  it('circular introspection: is not led in circles', async () => {
    await expectRefused(`query cop { __schema { types { ${CIRCLE} name ${many(8, '} ')} } } }`);
    // nor where introspection is open
    const open = await startApi(database());
    const { status } = await (await open.client()).send(
      `query cop { __schema { types { ${many(3, CIRCLE)} name ${many(24, '} ')} } } }`,
    );
    expect(status).toBe(400);
    await open.close();
  });

  it('introspection: tells nobody what there is', async () => {
    await expectRefused('query cop { __schema { types { name fields { name } } } }');
  });

  it('field duplication: refuses one field five hundred times', async () => {
    await expectRefused(`query cop { ${many(500, '__typename ')} }`);
  });

  it.each(['query cop { __schema { directive } }', '{ viewr { id } }'])(
    'field suggestions: makes none for %s',
    async (query) => {
      expect(JSON.stringify(await expectRefused(query))).not.toMatch(/did you mean/i);
    },
  );

  it.each([
    '/',
    '/graphql',
    '/graphiql',
    '/graphiql/page.js',
    '/playground',
    '/console',
    '/graphql/console',
  ])('GraphiQL: has no query editor at %s', async (path) => {
    const headers = { accept: 'text/html', authorization: `Bearer ${client.token}` };
    const response = await fetch(`${api.url}${path}`, { headers });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.headers.get('content-type')).toContain('json');
  });

  it('GET queries: runs none that a link could start, not for those with a token either', async () => {
    const query = `?query=${encodeURIComponent('query cop { __typename }')}`;
    expect((await fetch(`${api.url}/graphql${query}`)).status).toBe(401);
    const refused = await request(query);
    expect(refused.status).toBe(400);
    expect(await refused.text()).not.toContain('"data"');
    const asked = await request(query, { headers: { 'apollo-require-preflight': '1' } });
    expect(await asked.json()).toEqual({ data: { __typename: 'Query' } });
  });

  it('GET-based mutation: runs none, whatever its headers', async () => {
    const mutation = `?query=${encodeURIComponent('mutation cop { __typename }')}`;
    expect((await request(mutation)).status).toBe(400);
    const headers = { 'apollo-require-preflight': '1' };
    const refused = await request(mutation, { headers });
    expect(refused.status).toBe(405);
    expect(await refused.text()).not.toContain('"data"');
  });

  it('POST urlencoded CSRF: runs nothing that a form could send', async () => {
    const response = await request('', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'query=query+cop+%7B__typename%7D',
    });
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain('"data"');
  });

  it('tracing: gives no traces away, not when asked for them either', async () => {
    const response = await client.post(JSON.stringify({ query: 'query cop { __typename }' }), {
      'apollo-federation-include-trace': 'ftv1',
      'apollo-tracing': '1',
    });
    expect(await response.json()).toEqual({ data: { __typename: 'Query' } });
  });

  it('unhandled error: shows neither exceptions nor stacks', async () => {
    const errors = await expectRefused('qwerty cop { abc }');
    expect(JSON.stringify(errors)).not.toMatch(/exception|stacktrace|node_modules/);
  });
});
