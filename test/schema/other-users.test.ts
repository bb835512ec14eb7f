// What one user has, no other user sees or touches: not by looking, not by asking for it by name.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSchema } from '../../schema/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { fromGlobalId } from '../../src/lib/global-id.ts';
import { LIMITS } from '../../src/transport/limits.ts';
import { openRateLimits, RATES } from '../../src/transport/rate-limits.ts';
import { fullStore } from '../adapters/fixture.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, FAKE_BASE, startApi } from '../support/api/api-server.ts';
import { wholeQuery } from '../support/api/whole-query.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { COMPLETE, EVENT, input, mail, PUSH, phone, publish, REGISTER } from './fixture.ts';

/** In every text that Anna sends. */
const MARK = 'annas-secret';
const EVERYTHING = wholeQuery(buildSchema(), 7);

/** Types whose objects belong to nobody. */
const SHARED = ['Mode', 'BaseModel'];

describeWithDatabase("another user's data", (database) => {
  let api: Api;
  let anna: ApiClient;
  let bert: ApiClient;
  let annasWorld = '';
  let annasIds: string[] = [];
  let annasAdapter = '';

  beforeAll(async () => {
    const whole = {
      ...LIMITS,
      characters: 1e7,
      tokens: 1e6,
      fields: 1e6,
      aliases: 1e6,
      cost: Number.POSITIVE_INFINITY,
    };
    const rates = openRateLimits({ ...RATES, user: { points: 1e300, seconds: 60 } });
    api = await startApi(database(), systemClock, fullStore, { limits: whole, rates });
    anna = await api.client('anna');
    bert = await api.client('bert');
    const device = { deviceId: `${MARK}-phone`, name: MARK, platform: MARK };
    await anna.ask(REGISTER, { input: device });
    await bert.ask(REGISTER, { input: phone });
    await anna.ask(PUSH, { input: { deviceId: device.deviceId, changes: [mail(1, MARK)] } });
    annasAdapter = (await publish(api, anna, 'older')).sha256;
    await publish(api, anna, 'newer');
    await foldDataset(anna);
    const { complete } = await anna.ask(COMPLETE, { input: { ...input, input: { body: MARK } } });
    await anna.ask(
      'mutation ($id: ID!) { rateCompletion(input: {completionId: $id, better: "annas-secret"}) { id } }',
      { id: complete.id },
    );
    await anna.ask('mutation { retrain(mode: "reply") { id } }');
    annasWorld = JSON.stringify(await anna.ask(EVERYTHING));
    annasIds = [...new Set(annasWorld.match(/"[\w-]{20,}"/g))]
      .map((text) => text.slice(1, -1))
      .filter((id) => !SHARED.includes(fromGlobalId(id)?.type ?? 'Mode'));
  });
  afterAll(() => api.close());

  const foldDataset = async (client: ApiClient) => {
    const { viewer } = await client.ask('{ viewer { id } }');
    const counts = { exampleCount: 1, preferenceCount: 0, changeSeq: 1 };
    await api.services.db
      .insertInto('datasets')
      .values({
        ...counts,
        userId: fromGlobalId(viewer.id)?.id ?? '',
        mode: 'subject',
        sha256: MARK,
        createdAt: new Date(),
      })
      .execute();
  };

  it('is all there for its owner', () => {
    const types = new Set(annasIds.map((id) => fromGlobalId(id)?.type));
    expect([...types].sort()).toEqual([
      'Adapter',
      'Completion',
      'Dataset',
      'Device',
      'Record',
      'TrainingRun',
      'User',
    ]);
  });

  it('is nowhere in what a user can reach', async () => {
    const bertsWorld = JSON.stringify(await bert.ask(EVERYTHING));
    expect(bertsWorld).toContain('"Mode_key":"subject"');
    expect(bertsWorld).not.toContain(MARK);
    for (const id of annasIds) expect(bertsWorld).not.toContain(id);
  });

  it('is not found by its ids, over either transport', async () => {
    const query = 'query ($id: ID!) { node(id: $id) { __typename } }';
    for (const id of annasIds) {
      expect((await anna.send(query, { id })).errors).toEqual([]);
      for (const { data, errors } of [
        await bert.send(query, { id }),
        await bert.first(query, { id }),
      ]) {
        expect(data).toEqual({ node: null });
        expect(errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      }
    }
  });

  it('cannot be named in a mutation or a question', async () => {
    const { viewer } =
      await anna.ask(`{ viewer { mode(key: "subject") { adapters { edges { node { id } } } }
      completions { edges { node { id } } } } }`);
    const adapter = viewer.mode.adapters.edges[1].node.id;
    const completion = viewer.completions.edges[0].node.id;
    const mine = await bert.ask(COMPLETE, { input });
    const calls: readonly [string, Record<string, unknown>][] = [
      ['mutation ($id: ID!) { rollbackAdapter(adapterId: $id) { id } }', { id: adapter }],
      [
        'mutation ($id: ID!) { acknowledgeAdapter(input: {deviceId: "phone", adapterId: $id, state: INSTALLED}) { id } }',
        { id: adapter },
      ],
      [
        'mutation ($id: ID!) { acknowledgeAdapter(input: {deviceId: "annas-secret-phone", adapterId: $id, state: REMOVED}) { id } }',
        { id: adapter },
      ],
      [
        'mutation ($id: ID!) { rateCompletion(input: {completionId: $id, verdict: UP}) { id } }',
        { id: completion },
      ],
      [
        'mutation ($mine: ID!, $id: ID!) { rateCompletion(input: {completionId: $mine, preferredCompletionId: $id}) { id } }',
        { mine: mine.complete.id, id: completion },
      ],
      [
        `mutation ($id: ID!) { reportCompletion(input: {deviceId: "phone", clientId: "c", mode: "subject", input: {body: "x"}, text: "x", adapterId: $id}) { id } }`,
        { id: adapter },
      ],
      [PUSH, { input: { deviceId: `${MARK}-phone`, changes: [mail(2)] } }],
      [COMPLETE, { input: { ...input, adapter: { sha256: annasAdapter } } }],
      [COMPLETE, { input: { ...input, adapter: { heldByDevice: `${MARK}-phone` } } }],
    ];
    for (const [query, variables] of calls) {
      const { errors } = await bert.send(query, variables);
      expect(errors, query).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    }
    expect(JSON.stringify(await anna.ask(EVERYTHING))).toBe(annasWorld);
  });

  it('is not to be downloaded', async () => {
    const get = (client: ApiClient, at: string) =>
      fetch(`${api.url}${at}`, {
        method: 'HEAD',
        headers: { authorization: `Bearer ${client.token}` },
      });
    const path = `/adapters/${annasAdapter}/adapter_config.json`;
    expect((await get(bert, path)).status).toBe(404);
    expect(
      (
        await get(
          bert,
          `/models/${FAKE_BASE.sha256}/../../adapters/${annasAdapter}/adapter_config.json`,
        )
      ).status,
    ).toBe(404);
    expect((await fetch(`${api.url}${path}`)).status).toBe(401);
  });

  it("is not in a feed that is read with its owner's cursor", async () => {
    const FEED = `query ($after: Cursor) { viewer { adapterFeed(after: $after) { __typename
      ... on AdapterFeedPage { cursor events { ${EVENT} } } ... on ResyncRequired { reason } } } }`;
    const { cursor } = (await anna.ask(FEED)).viewer.adapterFeed;
    expect((await bert.ask(FEED, { after: cursor })).viewer.adapterFeed.__typename).toBe(
      'ResyncRequired',
    );
  });

  it('is not among what subscriptions send', async () => {
    const socket = bert.socket();
    const streams = [
      socket.iterate({ query: `subscription { adapterEvents { ${EVENT} } }` }),
      socket.iterate({ query: 'subscription { trainingRuns { id mode { key } } }' }),
    ];
    const seen = streams.map((events) => events.next());
    await publish(api, anna, 'newest');
    await publish(api, bert, 'berts');
    await bert.ask('mutation { retrain(mode: "continue") { id } }');
    const [event, run] = await Promise.all(seen);
    expect(event?.value?.data).toMatchObject({ adapterEvents: { adapter: { version: 1 } } });
    const world = await bert.ask('{ viewer { modes { runs { edges { node { id } } } } } }');
    const sent = run?.value?.data as { trainingRuns: { id: string } };
    expect(JSON.stringify(world)).toContain(sent.trainingRuns.id);
    for (const events of streams) await events.return?.();
    await socket.dispose();
  });
});
