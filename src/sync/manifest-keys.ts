// The keys that sign manifests, in a file of the keys folder: the first one signs, the others were it before and are
// still shown, for manifests that are on their way. Read anew for each use, so a rotation needs no restart.

import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../lib/clock.ts';
import { must } from '../lib/errors.ts';
import { holding, waitForFileLock } from '../lib/file-lock.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { createSecretFile, replaceSecretFile } from '../lib/secret-file.ts';
import { type Envelope, PAYLOAD_TYPE, type PublicKey, signedBytes } from './protocol-manifest.ts';

const KEY_FILE = 'manifest-keys.json';
const LOCK_FILE = 'manifest-keys.lock';

/** The one in use and two before it stay in any case. */
const LEAST_KEYS = 3;
/** A manifest that a key signed may be on its way for so long (SIGN-4). */
const SHOWN_MS = 24 * 60 * 60 * 1000;

/** A key as it is kept. */
export interface PrivateKey extends PublicKey {
  readonly d: string;
  /** When it signed for the last time, milliseconds since the Unix epoch; absent: it signs, or is from before this was noted. */
  readonly retiredAt?: number;
}

/** Signs with the newest key and shows all public ones. */
export interface ManifestKeys {
  /** The statement as JSON; `payloadType` says what it is (default: an in-toto statement). */
  sign(statement: object, payloadType?: string): Promise<Envelope>;
  publicKeys(): Promise<readonly PublicKey[]>;
}

/** The keys in this folder; the first is made when there is none. */
export async function openManifestKeys(keysDir: string): Promise<ManifestKeys> {
  await readKeys(keysDir);
  return {
    sign: async (statement, payloadType = PAYLOAD_TYPE) =>
      signStatement(must((await readKeys(keysDir))[0], 'a key'), statement, payloadType),
    publicKeys: async () =>
      (await readKeys(keysDir)).map(({ kty, crv, x, kid }) => ({ kty, crv, x, kid })),
  };
}

/** Signs with a new key from now on; returns its id. Of two at once the second waits for the first. */
export async function rotateManifestKeys(
  keysDir: string,
  clock: Clock = systemClock,
): Promise<string> {
  const lock = await waitForFileLock(join(keysDir, LOCK_FILE), systemClock);
  return holding(lock, async () => {
    const [current, ...older] = await readKeys(keysDir);
    const now = clock.now();
    const key = makeManifestKey();
    const keys = [key, { ...must(current, 'a key'), retiredAt: now }, ...older].filter(
      ({ retiredAt = 0 }, i) => i < LEAST_KEYS || retiredAt > now - SHOWN_MS,
    );
    await replaceSecretFile(join(keysDir, KEY_FILE), JSON.stringify(keys));
    return key.kid;
  });
}

/** The statement in an envelope with the key's signature. */
export function signStatement(
  { kid: keyid, kty, crv, x, d }: PrivateKey,
  statement: object,
  payloadType: string = PAYLOAD_TYPE,
): Envelope {
  const payload = Buffer.from(JSON.stringify(statement));
  const key = createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' });
  const sig = sign(null, signedBytes(payloadType, payload), key).toString('base64');
  return {
    payloadType,
    payload: payload.toString('base64'),
    signatures: [{ keyid, sig }],
  };
}

async function readKeys(keysDir: string): Promise<readonly PrivateKey[]> {
  const path = join(keysDir, KEY_FILE);
  const text = await readFile(path, 'utf8').catch(nullIfMissing);
  if (text === null) {
    await createSecretFile(path, JSON.stringify([makeManifestKey()]));
    return readKeys(keysDir);
  }
  try {
    return JSON.parse(text) as PrivateKey[];
  } catch (cause) {
    throw new Error(`${path} is damaged; remove it to get a new key`, { cause });
  }
}

/** A new key, named by its thumbprint. */
export function makeManifestKey(): PrivateKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { x = '', d = '' } = privateKey.export({ format: 'jwk' });
  // the key's thumbprint (RFC 7638)
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
  return { kty: 'OKP', crv: 'Ed25519', x, d, kid: kid.digest('base64url') };
}
