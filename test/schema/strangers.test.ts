// Every field and every id of one user with the token of another, in any order and over both transports. What to ask comes
// from the schema itself, so a new field is asked for as soon as it is there.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type GraphQLObjectType, isObjectType } from 'graphql';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSchema } from '../../schema/schema.ts';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { fromGlobalId, toGlobalId } from '../../src/lib/global-id.ts';
import { LIMITS } from '../../src/transport/limits.ts';
import { openRateLimits, RATES } from '../../src/transport/rate-limits.ts';
import { publishTo } from '../adapters/fixture.ts';
import { argumentsOf, fieldsOf, leavesOf, textOf, valueFor } from '../support/api/any-operation.ts';
import type { ApiClient, ApiResult } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { wholeQuery } from '../support/api/whole-query.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { soakRuns } from '../support/soak.ts';
import { COMPLETE, input, mail, PUSH, REGISTER } from './fixture.ts';

const schema = buildSchema();
const EVERYTHING = wholeQuery(schema, 6);
/** In every text that Anna sends. */
const MARK = 'annas-own-words';

describeWithDatabase('a stranger', (database) => {
  let dir: string;
  let store: AdapterStore;
  let api: Api;
  let anna: ApiClient;
  let bert: ApiClient;
  let annasWorld = '';
  /** All that Anna's objects are called by: global ids, hashes, names of her devices and her answers. */
  let names: readonly string[] = [];
  let files: readonly string[] = [];
  let cursor = '';

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'attune-strangers-'));
    store = await openAdapterStore(dir, vaultOf(database().kysely));
    const limits = {
      ...LIMITS,
      characters: 1e7,
      tokens: 1e6,
      fields: 1e6,
      aliases: 1e6,
      depth: 100,
    };
    const many = { points: 1e300, seconds: 60 };
    const rates = openRateLimits({
      ...RATES,
      ...{ user: many, address: many, completionTokens: many },
    });
    const free = { ...limits, cost: Number.POSITIVE_INFINITY };
    api = await startApi(database(), systemClock, store, { limits: free, rates });
    anna = await api.client('anna');
    bert = await api.client('bert');
    await fill(anna, 'anna');
    await bert.ask(REGISTER, { input: { deviceId: 'berts', name: 'B', platform: 'test' } });
    annasWorld = await worldOf(anna);
    const world = JSON.parse(annasWorld);
    const texts = new Set<string>();
    collect(world, texts);
    // what a stranger has as well, such as modes and the base, is nobody's
    const shared = await worldOf(bert);
    names = [...texts].filter((text) => isAName(text) && !shared.includes(text));
    files = [...texts].filter((text) => text.startsWith('/adapters/'));
    const { viewer } = await anna.ask(
      '{ viewer { adapterFeed { ... on AdapterFeedPage { cursor } } } }',
    );
    cursor = viewer.adapterFeed.cursor;
  });
  afterAll(async () => {
    await api.close();
    await rm(dir, { recursive: true });
  });

  const worldOf = async (client: ApiClient) => JSON.stringify(await client.ask(EVERYTHING));

  async function fill(client: ApiClient, subject: string): Promise<void> {
    const deviceId = `${MARK}-phone`;
    await client.ask(REGISTER, { input: { deviceId, name: MARK, platform: MARK } });
    await client.ask(PUSH, { input: { deviceId, changes: [mail(1, MARK), mail(2, MARK)] } });
    const question = { ...input, clientId: `${MARK}-answer`, input: { body: MARK } };
    const { complete } = await client.ask(COMPLETE, { input: question });
    await client.ask(
      'mutation ($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }',
      { input: { completionId: complete.id, better: MARK } },
    );
    for (const content of ['older', 'newer'])
      await publishTo(database(), api.services, { subject }, async (userId) => {
        const folder = await mkdtemp(join(dir, 'trained-'));
        await writeFile(join(folder, 'adapter_config.json'), '{}');
        await writeFile(join(folder, 'adapter_model.safetensors'), `${MARK} ${content}`);
        return store.put(folder, userId);
      });
    await client.ask('mutation { retrain(mode: "reply") { id } }');
  }

  function isAName(text: string): boolean {
    return fromGlobalId(text) !== null || /^[0-9a-f]{64}$/.test(text) || text.startsWith(MARK);
  }

  /** What Bert is told holds nothing of Anna's but what he said himself. */
  function expectNothing(result: Partial<ApiResult>, said: readonly string[]): void {
    const echoless = (text: string) => said.reduce((rest, word) => rest.replaceAll(word, ''), text);
    const told = echoless(JSON.stringify(result.data ?? null));
    for (const name of names) expect(told).not.toContain(name);
    for (const { extensions } of result.errors ?? [])
      expect(['FORBIDDEN', 'INTERNAL']).not.toContain(extensions.code);
  }

  /** Any operation of the schema, each argument being a name of Anna's, or something that fits. */
  const operation = () => {
    const roots = [schema.getMutationType(), schema.getQueryType()].flatMap((type) =>
      type ? fieldsOf(type).map((field) => [type, field] as const) : [],
    );
    return fc
      .constantFrom(...roots.filter(([, { name }]) => !ENDING.includes(name)))
      .chain(([type, field]) =>
        argumentsOf(field.args, names).map((args) => ({
          args,
          query: textOf(type, field),
        })),
      );
  };

  it('has much to ask for', () => {
    const types = new Set(names.flatMap((name) => fromGlobalId(name)?.type ?? []));
    expect([...types].sort()).toEqual([
      ...['Adapter', 'Completion', 'Device', 'Record', 'TrainingRun', 'User'],
    ]);
    expect(files.length).toBeGreaterThan(3);
  });

  it('gets nothing by any call with any name, and changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(operation(), fc.boolean(), async ({ query, args }, isSocket) => {
        const result = isSocket ? await bert.first(query, args) : await bert.send(query, args);
        expectNothing(result, saidIn(args));
      }),
      { numRuns: soakRuns(150) },
    );
    expect(await worldOf(anna)).toBe(annasWorld);
  });

  it('reads nothing behind any id, field by field, over either transport', async () => {
    const types = Object.values(schema.getTypeMap()).filter(isObjectType);
    const nodes = types.filter((type) => type.getInterfaces().some(({ name }) => name === 'Node'));
    const ids = names.filter((name) => fromGlobalId(name) !== null);
    // as the id of every type, whatever it is of
    const asked = ids.flatMap((id) => nodes.map(({ name }) => ({ id, name })));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...asked), fc.boolean(), async ({ id, name }, isSocket) => {
        const own = fromGlobalId(id)?.id ?? '';
        const forged =
          own.length === 36 && name in GLOBAL ? toGlobalId(GLOBAL[name] ?? 'User', own) : id;
        const query = `query ($id: ID!) { node(id: $id) { ... on ${name} ${leavesOf(schema.getType(name) as GraphQLObjectType)} } }`;
        const ask = (client: ApiClient) =>
          isSocket ? client.first(query, { id: forged }) : client.send(query, { id: forged });
        const { data, errors } = await ask(bert);
        expect(data).toEqual({ node: null });
        expect(errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      }),
      { numRuns: soakRuns(80) },
    );
  });

  it('downloads no file and no manifest, whatever the range', async () => {
    const paths = [
      ...files,
      ...names
        .filter((name) => fromGlobalId(name)?.type === 'Adapter')
        .map((id) => `/manifests/${id}`),
    ];
    const range = fc.constantFrom(undefined, 'bytes=0-0', 'bytes=5-', 'bytes=-3', 'bytes=9999999-');
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), range, async (path, bytes) => {
        const ask = ({ token }: ApiClient) =>
          fetch(api.url + path, {
            headers: { authorization: `Bearer ${token}`, ...(bytes && { range: bytes }) },
          });
        expect([200, 206, 416]).toContain((await ask(anna)).status);
        const refused = await ask(bert);
        expect(refused.status).toBe(404);
        expect(await refused.text()).not.toContain(MARK);
      }),
      { numRuns: soakRuns(40) },
    );
  });

  it('hears nothing in any subscription, from any place', async () => {
    const fields = fieldsOf(schema.getSubscriptionType());
    for (const field of fields) {
      const socket = bert.socket();
      try {
        const args = Object.fromEntries(
          field.args.map(({ name, type }) => [name, valueFor(type, name, cursor)]),
        );
        const root = schema.getSubscriptionType() as GraphQLObjectType;
        const events = socket.iterate({ query: textOf(root, field), variables: args });
        const first = events.next().catch((error: unknown) => ({ value: { errors: error } }));
        // what there is for Anna comes before what there is for Bert
        await anna.ask(COMPLETE, { input: { ...input, input: { body: MARK } } });
        for (const client of [anna, bert])
          await client.ask('mutation { retrain(mode: "subject") { id } }');
        await publishTo(database(), api.services, { subject: 'bert' }, (userId) =>
          own(userId, field.name),
        );
        const heard = JSON.stringify((await first).value);
        for (const name of names) expect(heard, field.name).not.toContain(name);
      } finally {
        await socket.dispose();
      }
    }
  });

  const own = async (userId: string, content: string) => {
    const folder = await mkdtemp(join(dir, 'berts-'));
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    await writeFile(join(folder, 'adapter_model.safetensors'), `Bert's ${content}`);
    return store.put(folder, userId);
  };
});

/** What ends the stranger himself is for another test. */
const ENDING = ['eraseViewer', 'revokeDevice', 'revokeUserDevice'];

/** Types whose ids look alike. */
const GLOBAL: Readonly<Record<string, Parameters<typeof toGlobalId>[0]>> = {
  ...{ User: 'User', Device: 'Device', Record: 'Record', Adapter: 'Adapter' },
  ...{ Dataset: 'Dataset', TrainingRun: 'TrainingRun', Completion: 'Completion' },
};

/** Every text in a value. */
function collect(value: unknown, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) collect(inner, into);
}

function saidIn(args: Record<string, unknown>): readonly string[] {
  const said = new Set<string>();
  collect(args, said);
  return [...said];
}
