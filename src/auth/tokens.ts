// Who is asking: signed tokens (JWT, EdDSA) whose `sub` is the user. The key lives in the data folder, in a file of its
// own, so that a token can be made while a server holds the database.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { createSecretFile } from '../lib/secret-file.ts';
import {
  type Authenticator,
  bearerAuthenticator,
  CLOCK_TOLERANCE_S,
  isSubject,
  MAX_SUBJECT_CHARACTERS,
} from './token-claims.ts';

const ALGORITHM = 'EdDSA';
const ISSUER = 'attune';
const AUDIENCE = 'attune';
const KEY_FILE = 'signing-key.json';
const TOKEN_LIFETIME_S = 30 * 24 * 3600;

/** Reads the data folder's signing key, made on the first call, and returns the check of tokens signed with it. */
export async function openAuthenticator(dataDir: string, clock: Clock): Promise<Authenticator> {
  const key = await importJWK(publicPart(await readSigningKey(dataDir)), ALGORITHM);
  return bearerAuthenticator((token) => verify(token, key, clock), unauthenticated);
}

/** What a token is good for, if not for everything on all devices of its user. */
export interface TokenClaims {
  /** Scopes with spaces between them. */
  readonly scope?: string;
  /** The only device that may use it. */
  readonly device?: string;
}

/** Makes a token for `user`, valid for 30 days, with the data folder's key (made if it is not there yet). */
export async function issueToken(
  dataDir: string,
  user: string,
  clock: Clock,
  claims: TokenClaims = {},
): Promise<string> {
  if (!isSubject(user)) {
    const limit = `1 to ${MAX_SUBJECT_CHARACTERS} characters, none of them a control character`;
    throw new AppError('BAD_INPUT', `user is ${JSON.stringify(user)}: expected ${limit}.`);
  }
  const jwk = await readSigningKey(dataDir);
  const issuedAt = Math.floor(clock.now() / 1000);
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: ALGORITHM })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(user)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + TOKEN_LIFETIME_S)
    .sign(await importJWK(jwk, ALGORITHM));
}

async function verify(token: string, key: Awaited<ReturnType<typeof importJWK>>, clock: Clock) {
  const { payload } = await jwtVerify(token, key, {
    algorithms: [ALGORITHM],
    issuer: ISSUER,
    audience: AUDIENCE,
    requiredClaims: ['sub', 'exp'],
    clockTolerance: CLOCK_TOLERANCE_S,
    currentDate: new Date(clock.now()),
  });
  return payload;
}

function unauthenticated(problem: string, cause?: unknown): AppError {
  const remedy = 'Make one with: npm run -s attune -- token --user NAME';
  return new AppError('UNAUTHENTICATED', `${problem}. ${remedy}`, { cause });
}

function publicPart({ d: _private, ...jwk }: JWK): JWK {
  return jwk;
}

async function readSigningKey(dataDir: string): Promise<JWK> {
  const path = join(dataDir, KEY_FILE);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new Error(`cannot read the signing key ${path}`, { cause: error });
  });
  if (text === null) {
    await makeSigningKey(path);
    return readSigningKey(dataDir);
  }
  try {
    return JSON.parse(text) as JWK;
  } catch (cause) {
    const remedy = 'Remove it to get a new one; tokens made so far then end.';
    throw new Error(`the signing key ${path} is damaged. ${remedy}`, { cause });
  }
}

/** Of two processes that are both the first, the second keeps what the first one made. */
async function makeSigningKey(path: string): Promise<void> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { crv: 'Ed25519', extractable: true });
  await createSecretFile(path, JSON.stringify(await exportJWK(privateKey)));
}
