import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair, importJWK, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { issueToken, openAuthenticator } from '../../src/auth/tokens.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 3600 * 1000;
const at = (now: number): Clock => ({ now: () => now, sleep: () => systemClock.sleep(0) });
const clock = at(NOW);

let dataDir = '';
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'attune-auth-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

describe('tokens', () => {
  it('speak for the user they were made for, for 30 days', async () => {
    const token = await issueToken(dataDir, 'anna', clock);
    const authenticator = await openAuthenticator(dataDir, clock);
    expect(await authenticator.authenticate(`Bearer ${token}`)).toEqual({
      subject: 'anna',
      expiresAt: NOW + 30 * DAY_MS,
      scopes: ['device'],
      deviceId: null,
    });
  });

  it('are refused once they have expired', async () => {
    const token = await issueToken(dataDir, 'anna', clock);
    const later = await openAuthenticator(dataDir, at(NOW + 31 * DAY_MS));
    await expect(later.authenticate(`Bearer ${token}`)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('the token has expired'),
    });
  });

  it('stay valid over restarts: the key is made once and readable by its owner only', async () => {
    const [first, second] = await Promise.all([
      issueToken(dataDir, 'anna', clock),
      issueToken(dataDir, 'bert', clock),
    ]);
    const authenticator = await openAuthenticator(dataDir, clock);
    expect((await authenticator.authenticate(`Bearer ${first}`)).subject).toBe('anna');
    expect((await authenticator.authenticate(`bearer ${second}`)).subject).toBe('bert');
    expect(await readdir(dataDir)).toEqual(['signing-key.json']);
    expect((await stat(join(dataDir, 'signing-key.json'))).mode & 0o777).toBe(0o600);
  });

  it('of another data folder are refused', async () => {
    const other = await mkdtemp(join(tmpdir(), 'attune-auth-'));
    const token = await issueToken(other, 'anna', clock);
    await rm(other, { recursive: true });
    await expectRefused(`Bearer ${token}`, 'not one of this server');
  });

  it.each([
    [undefined, 'no token'],
    ['', 'no token'],
    ['Basic YTpi', 'not of the form'],
    ['Bearer', 'not of the form'],
    ['Bearer a b', 'not of the form'],
    ['Bearer nonsense', 'not one of this server'],
    ['Bearer a.b.c', 'not one of this server'],
  ])('are refused when the header is %j', (authorization, reason) =>
    expectRefused(authorization, reason),
  );

  it('without a signature are refused', async () => {
    const token = new UnsecuredJWT({})
      .setSubject('anna')
      .setIssuer('attune')
      .setAudience('attune')
      .setExpirationTime(NOW / 1000 + 60)
      .encode();
    await expectRefused(`Bearer ${token}`, 'not one of this server');
  });

  const valid = { iss: 'attune', aud: 'attune', sub: 'anna', exp: NOW / 1000 + 60 };
  const payloads: readonly [string, JWTPayload, string][] = [
    ['another issuer', { ...valid, iss: 'else' }, 'not one of this server'],
    ['another audience', { ...valid, aud: 'else' }, 'not one of this server'],
    ['a start in the future', { ...valid, nbf: NOW / 1000 + 60 }, 'not one of this server'],
    ['no subject', { iss: 'attune', aud: 'attune', exp: valid.exp }, 'not one of this server'],
    ['no end', { iss: 'attune', aud: 'attune', sub: 'anna' }, 'not one of this server'],
    ['an empty subject', { ...valid, sub: '' }, 'subject'],
    ['a control character in the subject', { ...valid, sub: 'a\u0000b' }, 'subject'],
    ['a very long subject', { ...valid, sub: 'a'.repeat(201) }, 'subject'],
  ];
  it.each(payloads)('with %s are refused', async (_, payload, reason) => {
    await issueToken(dataDir, 'anna', clock);
    const jwk = JSON.parse(await readFile(join(dataDir, 'signing-key.json'), 'utf8'));
    const token = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'EdDSA' })
      .sign(await importJWK(jwk, 'EdDSA'));
    await expectRefused(`Bearer ${token}`, reason);
  });

  it('signed with another algorithm are refused', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    const token = await new SignJWT(valid).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
    await expectRefused(`Bearer ${token}`, 'not one of this server');
  });

  it('signed with the public key as a shared secret are refused', async () => {
    await issueToken(dataDir, 'anna', clock);
    const jwk = JSON.parse(await readFile(join(dataDir, 'signing-key.json'), 'utf8'));
    const secret = Buffer.from(jwk.x, 'base64url');
    const token = await new SignJWT(valid).setProtectedHeader({ alg: 'HS256' }).sign(secret);
    await expectRefused(`Bearer ${token}`, 'not one of this server');
  });

  it.each(['', 'a\nb', 'a'.repeat(201)])('are not made for the user %j', async (user) => {
    await expect(issueToken(dataDir, user, clock)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('name the damaged key file and the remedy', async () => {
    await writeFile(join(dataDir, 'signing-key.json'), '{"kty":');
    await expect(issueToken(dataDir, 'anna', clock)).rejects.toThrow(
      /signing-key\.json is damaged\. Remove it/,
    );
  });
});

async function expectRefused(authorization: string | undefined, reason: string) {
  const authenticator = await openAuthenticator(dataDir, clock);
  await expect(authenticator.authenticate(authorization)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining(reason),
  });
}
