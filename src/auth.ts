// Who is asking: signed tokens (JWT, EdDSA) whose `sub` is the user. The key lives in the data folder, in a file of its
// own, so that a token can be made while a server holds the database.

import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errors, exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose';
import type { Clock } from './lib/clock.ts';
import { AppError } from './lib/errors.ts';

const ALGORITHM = 'EdDSA';
const ISSUER = 'attune';
const AUDIENCE = 'attune';
const KEY_FILE = 'signing-key.json';
const TOKEN_LIFETIME_S = 30 * 24 * 3600;
/** How far the clocks of two machines may be apart. */
const CLOCK_TOLERANCE_S = 5;
/** A subject names a row and appears in logs: long ones serve nobody. */
const MAX_SUBJECT_CHARACTERS = 200;

/** Who a valid token speaks for, and until when. */
export interface Identity {
  readonly subject: string;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number;
}

/** Checks the credentials of a request. */
export interface Authenticator {
  /** Takes the value of an `Authorization` header; throws AppError UNAUTHENTICATED with what is wrong and the remedy. */
  authenticate(authorization: string | undefined): Promise<Identity>;
}

/** Reads the data folder's signing key, made on the first call, and returns the check of tokens signed with it. */
export async function openAuthenticator(dataDir: string, clock: Clock): Promise<Authenticator> {
  const key = await importJWK(publicPart(await readSigningKey(dataDir)), ALGORITHM);
  return {
    authenticate: async (authorization) => {
      const token = bearerToken(authorization);
      const { payload } = await verify(token, key, clock);
      const subject = checkSubject(payload.sub);
      return { subject, expiresAt: (payload.exp ?? 0) * 1000 };
    },
  };
}

/** Makes a token for `user`, valid for 30 days, with the data folder's key (made if it is not there yet). */
export async function issueToken(dataDir: string, user: string, clock: Clock): Promise<string> {
  if (!isSubject(user)) {
    const limit = `1 to ${MAX_SUBJECT_CHARACTERS} characters, none of them a control character`;
    throw new AppError('BAD_INPUT', `user is ${JSON.stringify(user)}: expected ${limit}.`);
  }
  const jwk = await readSigningKey(dataDir);
  const issuedAt = Math.floor(clock.now() / 1000);
  return new SignJWT()
    .setProtectedHeader({ alg: ALGORITHM })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(user)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + TOKEN_LIFETIME_S)
    .sign(await importJWK(jwk, ALGORITHM));
}

function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined || authorization === '') {
    throw unauthenticated('no token: send the header "Authorization: Bearer <token>"');
  }
  const token = /^Bearer +([^\s]+)$/i.exec(authorization)?.[1];
  if (token === undefined) {
    throw unauthenticated('the authorization is not of the form "Bearer <token>"');
  }
  return token;
}

async function verify(token: string, key: Awaited<ReturnType<typeof importJWK>>, clock: Clock) {
  try {
    return await jwtVerify(token, key, {
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience: AUDIENCE,
      requiredClaims: ['sub', 'exp'],
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(clock.now()),
    });
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw unauthenticated('the token has expired', error);
    if (error instanceof errors.JOSEError)
      throw unauthenticated('the token is not one of this server', error);
    throw error;
  }
}

function unauthenticated(problem: string, cause?: unknown): AppError {
  const remedy = 'Make one with: npm run -s attune -- token --user NAME';
  return new AppError('UNAUTHENTICATED', `${problem}. ${remedy}`, { cause });
}

function checkSubject(subject: string | undefined): string {
  if (subject !== undefined && isSubject(subject)) return subject;
  throw unauthenticated(`the token's subject is not 1 to ${MAX_SUBJECT_CHARACTERS} characters`);
}

function isSubject(text: string): boolean {
  return /^[^\p{C}]+$/u.test(text) && text.length <= MAX_SUBJECT_CHARACTERS;
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
    await makeSigningKey(dataDir, path);
    return readSigningKey(dataDir);
  }
  try {
    return JSON.parse(text) as JWK;
  } catch (cause) {
    const remedy = 'Remove it to get a new one; tokens made so far then end.';
    throw new Error(`the signing key ${path} is damaged. ${remedy}`, { cause });
  }
}

/** Two processes may both be the first: the file is written whole under another name and linked into place, and the
 *  one that comes second keeps what the first one made. */
async function makeSigningKey(dataDir: string, path: string): Promise<void> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { crv: 'Ed25519', extractable: true });
  await mkdir(dataDir, { recursive: true });
  const temporaryPath = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporaryPath, 'wx', 0o600);
  try {
    await file.writeFile(JSON.stringify(await exportJWK(privateKey)));
    await file.sync();
    await file.close();
    await link(temporaryPath, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporaryPath, { force: true });
  }
}
