import { once } from 'node:events';
import { utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openJwksAuthenticator } from '../../src/auth/jwks.ts';
import type { Identity } from '../../src/auth/token-claims.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const WHO = { issuer: 'https://id.example', audience: 'phones' };
const claims = {
  iss: WHO.issuer,
  aud: WHO.audience,
  sub: 'anna',
  scope: 'device',
  device: 'phone',
};

async function makeKey(kid: string, alg = 'ES256') {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const sign = (payload: JWTPayload = claims, end = '1h') =>
    new SignJWT(payload).setProtectedHeader({ alg, kid }).setExpirationTime(end).sign(privateKey);
  return { jwk: { ...(await exportJWK(publicKey)), kid, alg }, sign };
}
type Key = Awaited<ReturnType<typeof makeKey>>;
const setOf = (...keys: Key[]) => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });

describe('tokens of another issuer', () => {
  const fresh = useTemporaryFolder();
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
    server?.closeAllConnections();
    server = undefined;
  });

  const withFile = async (text: string) => {
    const path = fresh('keys.json');
    await writeFile(path, text);
    return {
      path,
      authenticator: await openJwksAuthenticator({ keys: path, ...WHO }, systemClock),
    };
  };

  it.each(['EdDSA', 'ES256', 'RS256'])('are taken when signed by %s', async (alg) => {
    const key = await makeKey('one', alg);
    const { authenticator } = await withFile(setOf(key));
    expect(await authenticator.authenticate(`Bearer ${await key.sign()}`)).toEqual({
      subject: 'anna',
      expiresAt: expect.any(Number),
      scopes: ['device'],
      deviceId: 'phone',
    });
  });

  it.each(['RS512', 'ES384', 'PS256'])('are refused when signed by %s', async (alg) => {
    const key = await makeKey('one', alg);
    const { authenticator } = await withFile(setOf(key));
    await expect(authenticator.authenticate(`Bearer ${await key.sign()}`)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(WHO.issuer),
    });
  });

  const wrong: readonly [string, JWTPayload, string][] = [
    ['issuer', { ...claims, iss: 'https://else.example' }, '1h'],
    ['audience', { ...claims, aud: 'else' }, '1h'],
    ['subject', { ...claims, sub: '' }, '1h'],
    ['start', { ...claims, nbf: Date.now() / 1000 + 600 }, '1h'],
    ['end', claims, '-1h'],
  ];
  it.each(wrong)('are refused for a wrong %s', async (_, payload, end) => {
    const key = await makeKey('one');
    const { authenticator } = await withFile(setOf(key));
    const token = await key.sign(payload, end);
    await expect(authenticator.authenticate(`Bearer ${token}`)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  const shapes: readonly [JWTPayload, Partial<Identity> | null][] = [
    [
      { scope: undefined, device: undefined },
      { scopes: ['device'], deviceId: null },
    ],
    [{ scope: ['mail.read'] }, { scopes: ['mail.read'] }],
    [{ scope: 'mail.read operator' }, { scopes: ['mail.read', 'operator'] }],
    [{ scope: '' }, { scopes: [''] }],
    [{ scope: { device: true } }, null],
    [{ scope: [1] }, null],
    [{ scope: null }, null],
    [{ device: 7 }, null],
    [{ device: '' }, null],
    [{ device: ['phone'] }, null],
  ];
  it.each(shapes)('with %j are good for no more than they say', async (part, identity) => {
    const key = await makeKey('one');
    const { authenticator } = await withFile(setOf(key));
    const asked = authenticator.authenticate(`Bearer ${await key.sign({ ...claims, ...part })}`);
    if (identity === null) await expect(asked).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    else expect(await asked).toMatchObject(identity);
  });

  it('follow the keys of the file as they come and go', async () => {
    const [older, newer] = [await makeKey('older'), await makeKey('newer')];
    const { path, authenticator } = await withFile(setOf(older));
    const newToken = `Bearer ${await newer.sign()}`;
    await expect(authenticator.authenticate(newToken)).rejects.toThrow();
    await writeFile(path, setOf(newer));
    await utimes(path, 1, 1);
    expect(await authenticator.authenticate(newToken)).toMatchObject({ subject: 'anna' });
    await expect(authenticator.authenticate(`Bearer ${await older.sign()}`)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  it.each(['{', '{}', '[]'])(
    'cannot be checked with the file %j: the start says so',
    async (text) => {
      await expect(withFile(text)).rejects.toThrow(/keys\.json cannot be read/);
    },
  );

  it('are checked with the keys of an address; while it fails that is not their fault', async () => {
    const key = await makeKey('one');
    let status = 503;
    server = createServer((_, response) => response.writeHead(status).end(setOf(key)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const keys = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const authenticator = await openJwksAuthenticator({ keys, ...WHO }, systemClock);
    const token = `Bearer ${await key.sign()}`;
    await expect(authenticator.authenticate(token)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryAfterMs: 30_000,
    });
    status = 200;
    expect(await authenticator.authenticate(token)).toMatchObject({ subject: 'anna' });
    const stranger = await makeKey('else');
    await expect(
      authenticator.authenticate(`Bearer ${await stranger.sign()}`),
    ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('follow the keys of an address as they come and go, asked for twice a minute at most', async () => {
    const [older, newer] = [await makeKey('older'), await makeKey('newer')];
    let set = setOf(older);
    let asked = 0;
    server = createServer((_, response) => {
      asked += 1;
      response.end(set);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const keys = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const { authenticate } = await openJwksAuthenticator({ keys, ...WHO }, systemClock);
      const [oldToken, newToken] = [`Bearer ${await older.sign()}`, `Bearer ${await newer.sign()}`];
      expect(await authenticate(oldToken)).toMatchObject({ subject: 'anna' });
      set = setOf(newer);
      for (let n = 0; n < 5; n += 1) await expect(authenticate(newToken)).rejects.toThrow();
      expect(asked).toBe(1);
      vi.setSystemTime(Date.now() + 31_000);
      expect(await authenticate(newToken)).toMatchObject({ subject: 'anna' });
      await expect(authenticate(oldToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      expect(asked).toBe(2);
      // withdrawn without a new one in use: not believed for longer than ten minutes
      set = setOf(older);
      expect(await authenticate(newToken)).toMatchObject({ subject: 'anna' });
      vi.setSystemTime(Date.now() + 10 * 60_000);
      await expect(authenticate(newToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    } finally {
      vi.useRealTimers();
    }
  });
});
