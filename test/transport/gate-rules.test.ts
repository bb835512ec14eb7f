// The rules of the gate in one table. Each is broken over HTTP and over a socket: the client must hear the same code, and the
// operators' figures must count it.

import { readFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import type { ErrorCode } from '../../src/lib/errors.ts';
import { LIMITS, type Limits } from '../../src/transport/limits.ts';
import { type Protection, protectionWith } from '../../src/transport/protection.ts';
import { openRateLimits, RATES, type RateName } from '../../src/transport/rate-limits.ts';
import { findDocumentIn } from '../../src/transport/trusted-documents.ts';
import { fullStore } from '../adapters/fixture.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const VIEWER = '{ viewer { id } }';
const REVOKE = 'mutation { revokeDevice(deviceId: "phone") { deviceId } }';
const COMPLETE = 'mutation { complete(input: {mode: "subject", input: {body: "Hi"}}) { text } }';

/** What a server's protection is made of; every part needs its row. */
type Part = Exclude<keyof Protection, 'limits' | 'rates'> | keyof Limits | `rate of ${RateName}`;

/** One way to break a rule. */
interface Rule {
  readonly rule: string;
  /** The part of the protection that is broken, if it is one. */
  readonly part?: Part;
  readonly code: ErrorCode;
  /** What ran; else nothing did. */
  readonly kind?: 'query' | 'mutation';
  readonly query?: string;
  readonly claims?: { readonly scope?: string; readonly device?: string };
  readonly given?: Parameters<typeof startApi>[3];
  /** Makes the server one that refuses. */
  readonly before?: (api: Api, client: ApiClient) => unknown;
}

const limited = (limits: Partial<Limits>) => ({ limits: { ...LIMITS, ...limits } });
const rated = (name: RateName) => ({
  rates: openRateLimits({ ...RATES, [name]: { points: 0, seconds: 60 } }),
});
const BAD_INPUT = { code: 'BAD_INPUT' } as const;

const RULES: readonly Rule[] = [
  { rule: 'authorisation, by root field', code: 'FORBIDDEN', claims: { scope: 'operator' } },
  {
    rule: 'authorisation, by the device of the token',
    code: 'FORBIDDEN',
    kind: 'mutation',
    claims: { device: 'tablet' },
    query:
      'mutation { registerDevice(input: {deviceId: "phone", name: "a", platform: "b"}) { id } }',
  },
  {
    rule: 'trusted documents',
    part: 'findDocument',
    code: 'FORBIDDEN',
    given: { findDocument: findDocumentIn(new Map()) },
  },
  { rule: 'characters', part: 'characters', ...BAD_INPUT, given: limited({ characters: 9 }) },
  { rule: 'tokens', part: 'tokens', ...BAD_INPUT, given: limited({ tokens: 3 }) },
  { rule: 'fields', part: 'fields', ...BAD_INPUT, given: limited({ fields: 1 }) },
  { rule: 'depth', part: 'depth', ...BAD_INPUT, given: limited({ depth: 1 }) },
  {
    rule: 'aliases',
    part: 'aliases',
    ...BAD_INPUT,
    given: limited({ aliases: 0 }),
    query: '{ a: viewer { id } }',
  },
  {
    rule: 'directives',
    part: 'directives',
    ...BAD_INPUT,
    given: limited({ directives: 0 }),
    query: '{ viewer { id @skip(if: true) } }',
  },
  { rule: 'validation', ...BAD_INPUT, query: '{ viewer { nothing } }' },
  {
    rule: 'no introspection',
    part: 'isProduction',
    ...BAD_INPUT,
    given: { isProduction: true },
    query: '{ __schema { __typename } }',
  },
  { rule: 'cost', part: 'cost', code: 'BAD_INPUT', given: limited({ cost: 0 }) },
  {
    rule: 'size of pages',
    code: 'BAD_INPUT',
    kind: 'query',
    query: '{ viewer { records(first: 101) { edges { cursor } } } }',
  },
  {
    rule: "rate of a user's operations",
    part: 'rate of user',
    code: 'RATE_LIMITED',
    given: rated('user'),
  },
  {
    rule: "rate of a device's operations",
    part: 'rate of device',
    code: 'RATE_LIMITED',
    given: rated('device'),
    claims: { device: 'phone' },
  },
  {
    rule: 'tokens of completions',
    part: 'rate of completionTokens',
    code: 'RATE_LIMITED',
    kind: 'mutation',
    given: rated('completionTokens'),
    query: COMPLETE,
  },
  {
    rule: 'masking',
    code: 'INTERNAL',
    kind: 'mutation',
    query: COMPLETE,
    before: ({ engine }) => {
      engine.failure = new Error('the secret');
    },
  },
];

/** What is refused before there is an operation: HTTP status and close code. */
const REFUSED: readonly (Rule & { readonly status: number; readonly close: number })[] = [
  {
    rule: 'scopes',
    code: 'FORBIDDEN',
    status: 403,
    close: 4403,
    claims: { scope: 'mail.read' },
  },
  {
    rule: 'revoked devices',
    code: 'FORBIDDEN',
    status: 403,
    close: 4403,
    claims: { device: 'phone' },
    before: async (api, client) => new ApiClient(api.url, client.token).ask(REVOKE),
  },
  {
    rule: 'rate of an address',
    part: 'rate of address',
    code: 'RATE_LIMITED',
    status: 429,
    close: 4429,
    given: rated('address'),
  },
];

/** What no single operation can break, or one transport alone has, and the test that breaks it. */
const ELSEWHERE: Partial<Readonly<Record<Part, string>>> = {
  validationErrors: 'limits.test.ts',
  operationMs: 'limits.test.ts',
  operationsPerSocket: 'socket-limits.test.ts',
  socketsPerUser: 'socket-limits.test.ts',
  requestMs: 'slow-clients.test.ts',
  socketQueueBytes: 'slow-clients.test.ts',
  socketQueueMessages: 'slow-clients.test.ts',
  socketInitBytes: 'websocket.test.ts',
  socketInitMs: 'websocket.test.ts',
  proxies: 'client-address.test.ts',
  refusesPlainGets: 'audit.test.ts',
};

it('has a row for every part of the protection, or says which test breaks it', async () => {
  const { limits, rates: _, ...others } = protectionWith();
  const rates = Object.keys(RATES).map((name) => `rate of ${name}`);
  const parts = [...Object.keys(limits), ...rates, ...Object.keys(others)];
  const rows = [...RULES, ...REFUSED].flatMap(({ part }) => part ?? []);
  const elsewhere = Object.entries(ELSEWHERE);
  expect([...rows, ...elsewhere.map(([part]) => part)].sort()).toEqual(parts.sort());
  for (const [part, file] of elsewhere) {
    expect(await readFile(new URL(file, import.meta.url), 'utf8'), file).toContain(part);
  }
});

describeWithDatabase('the gate', (database) => {
  let api: Api;
  afterEach(() => api.close());

  const brokenBy = async ({ claims = {}, given = {}, before }: Rule) => {
    api = await startApi(database(), systemClock, fullStore, given);
    const client = new ApiClient(api.url, await api.token(crypto.randomUUID(), claims));
    await before?.(api, client);
    return client;
  };

  it.each(RULES)('has the same answer to a break of $rule', async (rule) => {
    const { query = VIEWER, kind = 'refused', code } = rule;
    const client = await brokenBy(rule);
    const overHttp = await client.send(query);
    const overWs = await client.first(query);
    for (const { errors } of [overHttp, overWs]) {
      expect(errors).toMatchObject([{ extensions: { code } }]);
      expect(JSON.stringify(errors)).not.toContain('secret');
    }
    const shown = (errors: ApiClientErrors) =>
      errors?.map(({ message }) => message.replace(/error [\w-]+/, ''));
    expect(shown(overWs.errors)).toEqual(shown(overHttp.errors));
    expect(api.outcomes).toEqual([
      { kind, code },
      { kind, code },
    ]);
  });

  it.each(REFUSED)('lets nobody in who breaks $rule', async ({ status, close, ...rule }) => {
    const client = await brokenBy(rule);
    const overHttp = await client.send(VIEWER);
    expect([overHttp.status, overHttp.errors]).toMatchObject([
      status,
      [{ extensions: { code: rule.code } }],
    ]);
    const event = await client
      .socket()
      .iterate({ query: VIEWER })
      .next()
      .catch((closed) => closed);
    expect(event).toMatchObject({ code: close });
  });

  it('counts what went well as well', async () => {
    const client = await brokenBy({ rule: 'none', code: 'INTERNAL' });
    await client.send(VIEWER);
    await client.first(VIEWER);
    await client.first(
      'subscription { completionTokens(input: {mode: "subject", input: {body: "Hi"}}) { __typename } }',
    );
    expect(api.outcomes.map(({ kind, code }) => `${kind} ${code}`)).toEqual([
      'query OK',
      'query OK',
      'subscription OK',
    ]);
  });
});

type ApiClientErrors = Awaited<ReturnType<ApiClient['first']>>['errors'];
