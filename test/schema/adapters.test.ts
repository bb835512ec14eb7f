import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { EVENT, phone, publish, REGISTER } from './fixture.ts';

describeEachDatabase('adapters in the API', (database) => {
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    api = await startApi(database());
  });
  afterAll(() => api.close());
  beforeEach(async () => {
    client = await api.client();
  });

  it('shows a published adapter everywhere, and takes an older one back', async () => {
    await client.ask(REGISTER, { input: phone });
    const first = await publish(api, client, 'one');
    const second = await publish(api, client, 'two');
    const { viewer } =
      await client.ask(`{ viewer { mode(key: "subject") { adapter { id version status origin
      sha256 rank mode { key } base { name } parent { version } dataset { id } run { id status progress losses adapter { version } mode { key } reason }
      files { name url sizeBytes sha256 } evaluation { holdoutExamples loss baseLoss previousLoss preferenceAccuracy passed reason } createdAt }
      adapters(first: 1) { edges { cursor node { version status } } pageInfo { hasNextPage endCursor } } } } }`);
    const { adapter, adapters } = viewer.mode;
    expect(adapter).toMatchObject({
      version: 2,
      status: 'LIVE',
      origin: 'SERVER',
      sha256: second.sha256,
      rank: 8,
      mode: { key: 'subject' },
      base: { name: 'fake' },
      parent: { version: 1 },
      run: { status: 'PUBLISHED', progress: 1, losses: [3.5, 2.5], adapter: { version: 2 } },
      evaluation: {
        holdoutExamples: 12,
        loss: 1.5,
        baseLoss: 2.5,
        previousLoss: null,
        passed: true,
      },
    });
    expect(adapter.files[1].url).toBe(`/adapters/${second.sha256}/adapter_model.safetensors`);
    expect(adapters.edges).toMatchObject([{ node: { version: 2, status: 'LIVE' } }]);
    const next = await client.ask(
      'query ($after: String) { viewer { mode(key: "subject") { adapters(first: 1, after: $after) { edges { node { id version status } } pageInfo { hasNextPage } } } } }',
      { after: adapters.pageInfo.endCursor },
    );
    const older = next.viewer.mode.adapters.edges[0].node;
    expect(older).toMatchObject({ version: 1, status: 'SUPERSEDED' });
    const { rollbackAdapter } = await client.ask(
      'mutation ($id: ID!) { rollbackAdapter(adapterId: $id) { version status origin sha256 mode { adapter { version } } } }',
      { id: older.id },
    );
    expect(rollbackAdapter).toEqual({
      version: 3,
      status: 'LIVE',
      origin: 'ROLLBACK',
      sha256: first.sha256,
      mode: { adapter: { version: 3 } },
    });
  });

  it('hands the adapter feed to a device, page by page and followed', async () => {
    await client.ask(REGISTER, { input: phone });
    await publish(api, client, 'one');
    const FEED = `query ($after: Cursor) { viewer { adapterFeed(after: $after, first: 1) { __typename
      ... on AdapterFeedPage { events { ${EVENT} } cursor hasMore } ... on ResyncRequired { reason } } } }`;
    const { adapterFeed } = (await client.ask(FEED)).viewer;
    expect(adapterFeed).toMatchObject({ __typename: 'AdapterFeedPage', hasMore: false });
    const { adapter } = adapterFeed.events[0];
    expect(adapter.version).toBe(1);
    const { acknowledgeAdapter } = await client.ask(
      'mutation ($input: AcknowledgeAdapterInput!) { acknowledgeAdapter(input: $input) { held { mode { key } adapter { version } since } } }',
      { input: { deviceId: 'phone', adapterId: adapter.id, state: 'INSTALLED' } },
    );
    expect(acknowledgeAdapter.held).toMatchObject([
      { mode: { key: 'subject' }, adapter: { version: 1 } },
    ]);
    const socket = client.socket();
    const events = socket.iterate({
      query: `subscription ($after: Cursor) { adapterEvents(after: $after) { ${EVENT} } }`,
      variables: { after: adapterFeed.cursor },
    });
    const coming = events.next();
    await publish(api, client, 'two');
    expect((await coming).value?.data).toMatchObject({
      adapterEvents: { __typename: 'AdapterReady', adapter: { version: 2 } },
    });
    await client.ask('mutation ($id: ID!) { rollbackAdapter(adapterId: $id) { id } }', {
      id: adapter.id,
    });
    expect((await events.next()).value?.data).toMatchObject({
      adapterEvents: { __typename: 'AdapterRevoked', modeKey: 'subject', reason: 'ROLLED_BACK' },
    });
    await events.return?.();
    await socket.dispose();
    const foreign = await client.ask(FEED, { after: 'nonsense' });
    expect(foreign.viewer.adapterFeed).toMatchObject({ __typename: 'ResyncRequired' });
  });
});
