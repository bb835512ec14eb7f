// Tokens of an identity provider, over both transports: which are taken, how keys change, how a socket outlives them.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, expect, it } from 'vitest';
import WebSocket from 'ws';
import { openJwksAuthenticator } from '../../src/auth/jwks.ts';
import { fullStore } from '../adapters/fixture.ts';
import { publish } from '../schema/fixture.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { ISSUED, type Issuer, openIssuer } from '../support/api/issuer.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const VIEWER = '{ viewer { id } }';
const HOUR_MS = 3_600_000;
const clock = handClock(Date.now());
const inSeconds = (seconds: number) => Math.floor(clock.now() / 1000) + seconds;

describeWithDatabase('a token of an identity provider', (database) => {
  let folder = '';
  let api: Api;
  let issuer: Issuer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-issuer-'));
    const path = join(folder, 'keys.json');
    issuer = await openIssuer(path, clock);
    const authenticator = await openJwksAuthenticator({ keys: path, ...ISSUED }, clock);
    api = await startApi(database(), clock, fullStore, { authenticator });
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  /** The same over HTTP and a socket. */
  const isTaken = async (token: string) => {
    const client = new ApiClient(api.url, token);
    const { status, errors } = await client.send(VIEWER);
    const overWs = await client.first(VIEWER).catch((event) => event);
    if (status === 200) {
      expect(overWs.data).toMatchObject({ viewer: {} });
      return true;
    }
    expect([status, errors]).toMatchObject([401, [{ extensions: { code: 'UNAUTHENTICATED' } }]]);
    expect(overWs).toMatchObject({ code: 4401 });
    return false;
  };

  const claims: readonly [string, boolean, () => Record<string, unknown>][] = [
    ['all in order', true, () => ({})],
    ['several audiences, ours among them', true, () => ({ aud: ['else', ISSUED.audience] })],
    ['another issuer', false, () => ({ iss: 'https://else.example' })],
    ['no issuer', false, () => ({ iss: undefined })],
    ['another audience', false, () => ({ aud: 'else' })],
    ['no audience', false, () => ({ aud: undefined })],
    ['a start in the future', false, () => ({ nbf: inSeconds(60) })],
    ['a start within the tolerance', true, () => ({ nbf: inSeconds(4) })],
    ['a start in the past', true, () => ({ nbf: inSeconds(-60) })],
    ['an end in the past', false, () => ({ exp: inSeconds(-60) })],
    ['no end', false, () => ({ exp: undefined })],
    ['no subject', false, () => ({ sub: undefined })],
  ];
  it.each(claims)('with %s is taken: %s', async (_, taken, make) => {
    expect(await isTaken(await issuer.token('anna', make()))).toBe(taken);
  });

  it('is refused when nobody signed it', async () => {
    const [, body] = (await issuer.token('anna')).split('.');
    const header = Buffer.from('{"alg":"none"}').toString('base64url');
    expect(await isTaken(`${header}.${body}.`)).toBe(false);
  });

  it('is refused once the key is withdrawn, half a minute later if it was just used', async () => {
    const older = await issuer.token('anna');
    const unused = await issuer.token('anna', { jti: 'unused' });
    expect(await isTaken(older)).toBe(true);
    await issuer.rotate('earlier');
    expect(await isTaken(await issuer.token('anna'))).toBe(true);
    expect(await isTaken(unused)).toBe(true);
    await issuer.rotate('none');
    clock.jump(30_000);
    expect(await isTaken(older)).toBe(false);
    expect(await isTaken(await issuer.token('anna'))).toBe(true);
  });

  it('ends, and its use over HTTP ends at once', async () => {
    const token = await issuer.token('anna', { exp: inSeconds(10) });
    expect(await isTaken(token)).toBe(true);
    clock.jump(16_000);
    expect(await isTaken(token)).toBe(false);
  });

  it('ends, and its client goes on with the next one: no event is lost or comes twice', async () => {
    const anna = new ApiClient(api.url, await issuer.token('anna'));
    const versions: number[] = [];
    const ends: unknown[] = [];
    let after: string | null = null;
    const socket = createClient({
      url: `${api.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: async () => ({ authorization: `Bearer ${await issuer.token('anna')}` }),
      shouldRetry: () => true,
      retryWait: () => Promise.resolve(),
      on: {
        connected: (_socket, payload) => ends.push(payload?.tokenExpiresAt),
        closed: (event) => ends.push((event as { code: number }).code),
      },
    });
    const variables = {
      get after() {
        return after;
      },
    };
    const query = `subscription ($after: Cursor) { adapterEvents(after: $after) {
      ... on AdapterReady { cursor adapter { version } } } }`;
    const events = socket.iterate<{
      adapterEvents: { cursor: string; adapter: { version: number } };
    }>({ query, variables });
    for (const expected of [1, 2, 3]) {
      await publish(api, new ApiClient(api.url, await issuer.token('anna')), `of ${expected}`);
      const { value } = await events.next();
      const { cursor, adapter } = value.data.adapterEvents;
      after = cursor;
      versions.push(adapter.version);
      await clock.advance(HOUR_MS);
    }
    expect(versions).toEqual([1, 2, 3]);
    await expect.poll(() => ends.length).toBeGreaterThan(5);
    expect(ends.slice(0, 3)).toEqual([expect.stringMatching(/Z$/), 4403, expect.any(String)]);
    expect((await anna.send(VIEWER)).status).toBe(401);
    await events.return?.();
    await socket.dispose();
  });
});
