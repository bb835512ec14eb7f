// Operations that nobody would write: from the schema's own grammar, with values of every kind, cut and disturbed.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import {
  type GraphQLArgument,
  type GraphQLField,
  getNamedType,
  isInterfaceType,
  isObjectType,
  isUnionType,
} from 'graphql';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSchema } from '../../schema/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openRateLimits, RATES } from '../../src/transport/rate-limits.ts';
import { fullStore } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { soakLimitMs, soakRuns } from '../support/soak.ts';

const schema = buildSchema();
/** A long run looks at its memory so often. */
const LOOK_EVERY = 5_000;
/** What is kept grows no more once everything is warm; two looks' garbage collections differ by a few MB. */
const FLAT_MB = 30;
/** Words of our own inside that no client should read. */
const INTERNALS = /node_modules|\.ts:\d|select "|syntax error at|ECONN|stacktrace|Kysely|must hold/;

/** Values as they stand in a document: right, wrong, huge and strange. */
const literal = fc.oneof(
  fc.constantFrom('null', 'true', '{}', '[]', 'UP', '-1', '0', '2147483648', '1e400', '""', '$v'),
  fc.integer().map(String),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => JSON.stringify(text)),
  fc.constantFrom('"subject"', '"mail.sent"', '"\\u0000"', '"\\ud800"', '"""block"""'),
  fc.integer({ min: 1, max: 30 }).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`),
  fc.nat(5000).map((length) => JSON.stringify('x'.repeat(length))),
  fc.constant('{mode: "subject", input: {body: "Hello"}}'),
);

const argumentsOf = (args: readonly GraphQLArgument[]) =>
  fc
    .tuple(...args.map(({ name }) => fc.option(literal.map((value) => `${name}: ${value}`))))
    .map((given) => given.filter((one) => one !== null).join(', '))
    .map((text) => (text === '' ? '' : `(${text})`));

function selection(typeName: string, depth: number): fc.Arbitrary<string> {
  const type = schema.getType(typeName);
  if (isUnionType(type)) {
    return fc
      .constantFrom(...type.getTypes())
      .chain((member) =>
        selection(member.name, depth).map((inner) => `... on ${member.name} { ${inner} }`),
      );
  }
  if (!(isObjectType(type) || isInterfaceType(type))) return fc.constant('');
  const fields = Object.values(type.getFields());
  return fc
    .array(
      fc.constantFrom(...fields).chain((field) => fieldText(field, depth)),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .map((parts) => `__typename ${parts.join(' ')}`);
}

function fieldText(field: GraphQLField<unknown, unknown>, depth: number): fc.Arbitrary<string> {
  const name = getNamedType(field.type).name;
  const inner = depth === 0 ? fc.constant('__typename') : selection(name, depth - 1);
  return fc
    .tuple(argumentsOf(field.args), inner, fc.option(fc.constantFrom('a', 'b')))
    .map(([args, selected, alias]) => {
      const start = alias === null ? '' : `${alias}: `;
      return `${start}${field.name}${args}${selected === '' ? '' : ` { ${selected} }`}`;
    });
}

const operation = fc
  .constantFrom(['query', 'Query'], ['mutation', 'Mutation'], ['subscription', 'Subscription'])
  .chain(([keyword = '', type = '']) =>
    selection(type, 5).map((selected) => `${keyword} ($v: JSON) { ${selected} }`),
  );

/** A text with a piece taken out and another put in. */
const disturbed = fc
  .tuple(operation, fc.nat(), fc.nat(10), fc.string({ unit: 'binary', maxLength: 5 }))
  .map(([text, place, cut, extra]) => {
    const at = place % (text.length + 1);
    return text.slice(0, at) + extra + text.slice(at + cut);
  });

const request = fc.record({
  query: fc.oneof(operation, operation, disturbed, fc.string({ unit: 'binary' })),
  variables: fc.option(fc.dictionary(fc.string(), fc.jsonValue()), { nil: undefined }),
});

describeWithDatabase('a server that is sent anything', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    const points = Number.MAX_SAFE_INTEGER;
    const rates = openRateLimits({
      address: { ...RATES.address, points },
      user: { ...RATES.user, points },
      device: { ...RATES.device, points },
      completionTokens: { ...RATES.completionTokens, points },
    });
    api = await startApi(database(), systemClock, fullStore, { rates });
    client = await api.client();
  });
  afterAll(() => api.close());

  let count = 0;
  const keptMb: number[] = [];
  const answersWell = async (body: string | Uint8Array) => {
    count += 1;
    if (count % LOOK_EVERY === 0) keptMb.push(keptMemoryMb());
    const response = await client.post(body);
    const text = await response.text();
    expect(response.status, text).toBeLessThan(500);
    expect(text).not.toMatch(INTERNALS);
    expect(text).not.toContain('"INTERNAL"');
  };

  it(
    'answers operations without failing, and without a word of its inside',
    async () => {
      const sends = fc.asyncProperty(request, (one) => answersWell(JSON.stringify(one)));
      await fc.assert(sends, { numRuns: soakRuns(150) });
      expect((await client.send('{ viewer { id } }')).errors).toEqual([]);
      if (keptMb.length > 1) process.stdout.write(`MB kept: ${keptMb.join(' ')}\n`);
      const [warm = 0] = keptMb;
      expect((keptMb.at(-1) ?? warm) - warm).toBeLessThan(FLAT_MB);
    },
    soakLimitMs(),
  );

  it(
    'answers bytes that are no text without failing',
    async () => {
      const start = new TextEncoder().encode('{"query":"{ viewer { id } }","x":"');
      const sends = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (bytes) =>
        answersWell(Uint8Array.from([...start, ...bytes, 0x22, 0x7d])),
      );
      await fc.assert(sends, { numRuns: soakRuns(50) });
    },
    soakLimitMs(),
  );
});

/** What of the heap and of the buffers outside of it is in use after garbage was collected. */
function keptMemoryMb(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, external } = process.memoryUsage();
  return Math.round((heapUsed + external) / 2 ** 20);
}
