// A lost phone: turned away over both transports, on every server, at once.

import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { openJwksAuthenticator } from '../../src/auth/jwks.ts';
import { openDatabase } from '../../src/db/database.ts';
import { openPostgresWakeups } from '../../src/db/postgres-wakeups.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { folderVault } from '../../src/sealing/vault.ts';
import { fullStore } from '../adapters/fixture.ts';
import { mail, PUSH, phone, REGISTER } from '../schema/fixture.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { ISSUED, openIssuer } from '../support/api/issuer.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { describeWithDatabase, newPostgresUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const VIEWER = '{ viewer { id } }';
const EVENTS = 'subscription { adapterEvents { __typename } }';
const REVOKE =
  'mutation ($deviceId: ID!) { revokeDevice(deviceId: $deviceId) { deviceId revokedAt } }';
const REVOKE_OF =
  'mutation ($user: String!, $deviceId: ID!) { revokeUserDevice(user: $user, deviceId: $deviceId) { deviceId } }';

/** A subscription that has begun, and how it will end. */
async function follow(client: ApiClient) {
  const socket = client.socket();
  const ended = socket
    .iterate({ query: EVENTS })
    .next()
    .catch((event) => event);
  // the server answers in order
  await socket.iterate({ query: VIEWER }).next();
  return { socket, ended };
}

const closeOf = (client: ApiClient) =>
  client
    .socket()
    .iterate({ query: VIEWER })
    .next()
    .catch((event) => event);

const FORBIDDEN = { extensions: { code: 'FORBIDDEN' } };

describeWithDatabase('a revoked device', (database) => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi(database());
  });
  afterAll(() => api.close());

  const on = async (user: string, device: string) =>
    new ApiClient(api.url, await api.token(user, { device }));

  it('is refused everywhere, its socket closed with 4403; no other device is', async () => {
    const [lost, kept, other] = [
      await on('anna', 'phone'),
      await on('anna', 'tablet'),
      await on('bert', 'phone'),
    ];
    const [ofLost, ofKept, ofOther] = [await follow(lost), await follow(kept), await follow(other)];
    const { revokeDevice } = await kept.ask(REVOKE, { deviceId: 'phone' });
    expect(await ofLost.ended).toMatchObject({ code: 4403, reason: 'the device was revoked' });
    const { status, errors } = await lost.send(VIEWER);
    expect([status, errors]).toMatchObject([403, [FORBIDDEN]]);
    expect(await closeOf(lost)).toMatchObject({ code: 4403 });
    const download = await fetch(`${api.url}/adapters/x/y`, {
      headers: { authorization: `Bearer ${lost.token}` },
    });
    expect(download.status).toBe(403);
    for (const { socket, ended } of [ofKept, ofOther]) {
      await socket.iterate({ query: VIEWER }).next();
      await socket.dispose();
      await ended;
    }
    expect((await other.send(VIEWER)).errors).toEqual([]);
    const list = await kept.ask('{ viewer { revokedDevices { deviceId revokedAt } } }');
    expect(list.viewer.revokedDevices).toEqual([revokeDevice]);
  });

  it('may be revoked again: the first time counts', async () => {
    const client = await api.client();
    const first = await client.ask(REVOKE, { deviceId: 'phone' });
    expect(await client.ask(REVOKE, { deviceId: 'phone' })).toEqual(first);
  });

  it('has a name that no token may use any more', async () => {
    const client = await api.client();
    await client.ask(REGISTER, { input: phone });
    await client.ask(REVOKE, { deviceId: 'phone' });
    const push = { input: { deviceId: 'phone', changes: [mail(1)] } };
    expect((await client.send(PUSH, push)).errors).toMatchObject([FORBIDDEN]);
    expect((await client.send(REGISTER, { input: phone })).errors).toMatchObject([FORBIDDEN]);
  });

  it.each(['', 'x'.repeat(201), 'a\u0000b'])('cannot be one named %j', async (deviceId) => {
    const { errors } = await (await api.client()).send(REVOKE, { deviceId });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_INPUT' } }]);
  });

  it('gets no more answers, also when it ignores that its socket is being closed', async () => {
    const lost = await on('carl', 'phone');
    const socket = new WebSocket(
      `${api.url.replace('http', 'ws')}/graphql`,
      'graphql-transport-ws',
    );
    await once(socket, 'open');
    const say = (message: object) => socket.send(JSON.stringify(message));
    const heard: string[] = [];
    socket.on('message', (text) => heard.push(JSON.parse(`${text}`).type));
    say({ type: 'connection_init', payload: { authorization: `Bearer ${lost.token}` } });
    await once(socket, 'message');
    say({ type: 'subscribe', id: '1', payload: { query: EVENTS } });
    say({ type: 'subscribe', id: '2', payload: { query: VIEWER } });
    await expect.poll(() => heard).toEqual(['connection_ack', 'next', 'complete']);
    const closed = once(socket, 'close');
    await (await api.client('carl')).ask(REVOKE, { deviceId: 'phone' });
    say({ type: 'subscribe', id: '3', payload: { query: VIEWER } });
    expect((await closed)[0]).toBe(4403);
    // not `complete` either: the subscription is not over for a client that may come back
    expect(heard).toEqual(['connection_ack', 'next', 'complete']);
  });

  it('is what an operator may say of any user, and of nobody that there is not', async () => {
    const lost = await on('dora', 'phone');
    const { ended } = await follow(lost);
    const operator = new ApiClient(api.url, await api.token('ops', { scope: 'operator' }));
    const target = { user: 'dora', deviceId: 'phone' };
    expect((await lost.send(REVOKE_OF, target)).errors).toMatchObject([FORBIDDEN]);
    expect((await lost.first(REVOKE_OF, target)).errors).toMatchObject([FORBIDDEN]);
    expect((await operator.first(REVOKE_OF, target)).data).toEqual({
      revokeUserDevice: { deviceId: 'phone' },
    });
    expect(await ended).toMatchObject({ code: 4403 });
    const { errors } = await operator.send(REVOKE_OF, { ...target, user: 'nobody' });
    expect(errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
  });

  it("cannot be had by an operator's token that asks for a user's data", async () => {
    const operator = new ApiClient(api.url, await api.token('ops', { scope: 'operator' }));
    const hidden = `query { ...a } fragment a on Query { ... on Query { me: viewer { id } } }`;
    for (const query of [VIEWER, hidden, EVENTS]) {
      const { status, errors } = await operator.send(query);
      if (query !== EVENTS) expect([status, errors]).toMatchObject([403, [FORBIDDEN]]);
      expect((await operator.first(query)).errors).toMatchObject([FORBIDDEN]);
    }
    const headers = { authorization: `Bearer ${operator.token}` };
    expect((await fetch(`${api.url}/models/x/y`, { headers })).status).toBe(403);
    expect((await operator.send('{ __typename }')).errors).toEqual([]);
  });

  it('is not to be confused with another: a token acts for its own device only', async () => {
    const tablet = await on('emil', 'tablet');
    expect((await tablet.send(REGISTER, { input: phone })).errors).toMatchObject([FORBIDDEN]);
    const push = { input: { deviceId: 'phone', changes: [mail(1)] } };
    expect((await tablet.send(PUSH, push)).errors).toMatchObject([FORBIDDEN]);
    const own = { ...phone, deviceId: 'tablet' };
    expect((await tablet.send(REGISTER, { input: own })).errors).toEqual([]);
  });
});

describe.skipIf(!shouldRunWith('postgres'))('a device revoked on another server', () => {
  const fresh = useTemporaryFolder();
  const opened: { close(): Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  });

  const deployment = async (clock: Clock = systemClock, areConnected = true) => {
    const databaseUrl = await newPostgresUrl();
    const vault = folderVault(fresh('keys'));
    const path = fresh('keys.json');
    const issuer = await openIssuer(path, systemClock);
    const authenticator = await openJwksAuthenticator({ keys: path, ...ISSUED }, systemClock);
    const start = async () => {
      const database = await openDatabase({ dataDir: '', databaseUrl, vault });
      opened.push(database);
      const carried = { pool: database.pool, databaseUrl };
      const wakeups = areConnected
        ? await openPostgresWakeups(carried, () => undefined)
        : openLocalWakeups();
      const api = await startApi(database, clock, fullStore, { authenticator, wakeups });
      opened.push(api);
      return api;
    };
    const [here, there] = [await start(), await start()];
    const lost = new ApiClient(there.url, await issuer.token('anna', { device: 'phone' }));
    const kept = new ApiClient(here.url, await issuer.token('anna', { device: 'tablet' }));
    return { lost, kept };
  };

  it('is refused as soon as the news arrives', async () => {
    const { lost, kept } = await deployment();
    const { ended } = await follow(lost);
    expect((await lost.send(VIEWER)).errors).toEqual([]);
    await kept.ask(REVOKE, { deviceId: 'phone' });
    expect(await ended).toMatchObject({ code: 4403 });
    expect((await lost.send(VIEWER)).errors).toMatchObject([FORBIDDEN]);
  });

  it('is refused half a minute later when the news was lost', async () => {
    const clock = handClock(Date.now());
    const { lost, kept } = await deployment(clock, false);
    const { ended } = await follow(lost);
    await kept.ask(REVOKE, { deviceId: 'phone' });
    expect((await lost.send(VIEWER)).errors).toEqual([]);
    await clock.advance(30_000);
    expect(await ended).toMatchObject({ code: 4403 });
    expect((await lost.send(VIEWER)).errors).toMatchObject([FORBIDDEN]);
  });
});
