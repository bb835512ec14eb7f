// Tokens of somebody else's making: signed with a key of a JSON Web Key Set, at an address or in a file.

import { readFile, stat } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { StartError } from '../lib/start-error.ts';
import { type Authenticator, bearerAuthenticator, CLOCK_TOLERANCE_S } from './token-claims.ts';

/** Signatures by a private key only: a secret that both sides know would let every holder make tokens. */
const ALGORITHMS = ['EdDSA', 'ES256', 'RS256'];

/** Keys that are not known are asked for at most this often. */
const COOLDOWN_MS = 30_000;
/** A withdrawn key is believed for no longer than this. */
const MAX_AGE_MS = 10 * 60_000;

/** Whose tokens are taken. */
export interface JwksOptions {
  /** The address of a key set (https: or http:), or the path of a file. */
  readonly keys: string;
  /** What `iss` and `aud` must be. */
  readonly issuer: string;
  readonly audience: string;
}

/** Checks tokens against the key set, and follows it as keys come and go. Throws StartError on a file without keys. */
export async function openJwksAuthenticator(
  { keys, issuer, audience }: JwksOptions,
  clock: Clock,
): Promise<Authenticator> {
  const getKey = /^https?:/.test(keys) ? remoteKeys(keys) : await fileKeys(keys);
  const verify = async (token: string) => {
    const { payload } = await jwtVerify(token, getKey, {
      algorithms: ALGORITHMS,
      issuer,
      audience,
      requiredClaims: ['sub', 'exp'],
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(clock.now()),
    });
    return payload;
  };
  return bearerAuthenticator(verify, (problem, cause) => {
    const remedy = `Get one from ${issuer} for ${audience}`;
    return new AppError('UNAUTHENTICATED', `${problem}. ${remedy}.`, { cause });
  });
}

function remoteKeys(address: string): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(address), {
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: MAX_AGE_MS,
  });
  return (header, token) =>
    keys(header, token).catch((error) => {
      // a key that is not in the set is the token's fault; a set that cannot be had is not
      const isTokens =
        error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JOSENotSupported;
      throw isTokens ? error : noKeys(error);
    });
}

function noKeys(cause: unknown): AppError {
  const text = 'The keys that tokens are checked with cannot be had now: try again later.';
  return new AppError('UNAVAILABLE', text, { cause, retryAfterMs: COOLDOWN_MS });
}

/** Reads the file anew when it has changed. */
async function fileKeys(path: string): Promise<JWTVerifyGetKey> {
  const load = async () => {
    const { mtimeMs } = await stat(path);
    const set = JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet;
    return { mtimeMs, keys: createLocalJWKSet(set) };
  };
  let loaded = await load().catch((cause) => {
    const text = `The keys ${path} cannot be read: ${cause.message}. Expected a JSON Web Key Set.`;
    throw new StartError(text, { cause });
  });
  return async (header, token) => {
    try {
      if ((await stat(path)).mtimeMs !== loaded.mtimeMs) loaded = await load();
    } catch (error) {
      throw noKeys(error);
    }
    return loaded.keys(header, token);
  };
}
