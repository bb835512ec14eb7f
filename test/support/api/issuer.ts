// An identity provider: keys that come and go, tokens with any claims, a key set in a file.

import { utimes, writeFile } from 'node:fs/promises';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { Clock } from '../../../src/lib/clock.ts';

const ALGORITHM = 'ES256';
const LIFETIME_S = 3_600;

/** Whose tokens they are, and for whom. */
export const ISSUED = { issuer: 'https://id.example', audience: 'phones' };

/** Signs tokens with the newest of its keys. */
export interface Issuer {
  /** A token of an hour, but for what the claims say. */
  token(user: string, claims?: JWTPayload): Promise<string>;
  /** Signs with a new key from now on; the set has that one alone, or the earlier ones too. */
  rotate(keeps: 'none' | 'earlier'): Promise<void>;
}

/** An issuer whose key set is kept in this file. */
export async function openIssuer(path: string, clock: Clock): Promise<Issuer> {
  let count = 0;
  let keys: Awaited<ReturnType<typeof makeKey>>[] = [];
  const rotate = async (keeps: 'none' | 'earlier') => {
    count += 1;
    keys = [await makeKey(`key-${count}`), ...(keeps === 'earlier' ? keys : [])];
    await writeFile(path, JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
    // two versions may be written within one tick of the file system's clock
    await utimes(path, count, count);
  };
  await rotate('none');
  return {
    rotate,
    token: (user, claims = {}) => {
      const now = Math.floor(clock.now() / 1000);
      const [newest] = keys;
      if (newest === undefined) throw new Error('an issuer has a key');
      const own = { iss: ISSUED.issuer, aud: ISSUED.audience, sub: user, iat: now };
      return new SignJWT({ ...own, exp: now + LIFETIME_S, ...claims })
        .setProtectedHeader({ alg: ALGORITHM, kid: String(newest.jwk.kid) })
        .sign(newest.privateKey);
    },
  };
}

async function makeKey(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: ALGORITHM } };
}
