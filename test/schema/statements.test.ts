// However long the lists of a query are, the database is asked as often.

import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/db/database.ts';
import type { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { newDataFolder } from '../support/servers/databases.ts';
import { COMPLETE, input, mail, PUSH, phone, publish, REGISTER } from './fixture.ts';

const ADAPTER =
  'id version mode { key } dataset { id } run { id step } parent { id } files { name }';
const WIDEST = `{ viewer {
  devices { id held { mode { key } adapter { ${ADAPTER} } } }
  modes { key dataset { id } shippedAdapter { id } adapter { ${ADAPTER} }
    adapters(first: 20) { edges { node { ${ADAPTER} } } }
    runs(first: 20) { edges { node { id adapter { ${ADAPTER} } } } } }
  records(first: 50) { edges { node { id data } } }
  completions(first: 50) { edges { node { id mode { key } adapter { ${ADAPTER} } rating { verdict } } } }
  adapterFeed { ... on AdapterFeedPage { events { ... on AdapterReady { adapter { ${ADAPTER} } } } } }
} }`;

describe('the widest query', () => {
  let count = 0;
  let dataDir = '';
  let database: Database;
  let api: Api;
  let client: ApiClient;
  beforeAll(async () => {
    dataDir = await newDataFolder();
    const onQuery = () => {
      count += 1;
    };
    database = await openDatabase({ dataDir, onQuery });
    api = await startApi(database);
    client = await api.client();
    await client.ask(REGISTER, { input: phone });
  });
  afterAll(async () => {
    await api.close();
    await database.close();
    await rm(dataDir, { recursive: true });
  });

  /** Adds so many of everything that the query lists. */
  const grow = async (from: number, to: number) => {
    for (let n = from; n <= to; n += 1) {
      await client.ask(REGISTER, { input: { ...phone, deviceId: `phone-${n}` } });
      await client.ask(PUSH, { input: { deviceId: 'phone', changes: [mail(n)] } });
      await publish(api, client, `adapter ${n}`);
      await client.ask(COMPLETE, { input });
    }
  };
  const statements = async () => {
    const before = count;
    const { viewer } = await client.ask(WIDEST);
    return { statements: count - before, viewer };
  };

  it('takes as many statements for ten of everything as for two', async () => {
    await grow(1, 2);
    const two = await statements();
    await grow(3, 10);
    const ten = await statements();
    expect(two.viewer.completions.edges).toHaveLength(2);
    expect(ten.viewer.completions.edges).toHaveLength(10);
    expect(ten.viewer.devices).toHaveLength(11);
    expect(ten.statements).toBe(two.statements);
  });
});
