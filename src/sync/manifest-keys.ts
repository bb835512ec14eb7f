// The keys that sign manifests, in a file of the keys folder: the first one signs, the others were it before and are
// still shown, for manifests that are on their way. Read anew for each use, so a rotation needs no restart.

import { createHash, createPrivateKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFileAtomically } from '../lib/atomic-file.ts';
import { must } from '../lib/errors.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { type Envelope, PAYLOAD_TYPE, type PublicKey, signedBytes } from './protocol-manifest.ts';

const KEY_FILE = 'manifest-keys.json';

/** The one in use and two before it. */
const MAX_KEYS = 3;

/** A key as it is kept. */
export interface PrivateKey extends PublicKey {
  readonly d: string;
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
    publicKeys: async () => (await readKeys(keysDir)).map(({ d: _private, ...key }) => key),
  };
}

/** Signs with a new key from now on; returns its id. */
export async function rotateManifestKeys(keysDir: string): Promise<string> {
  const key = makeManifestKey();
  const keys = [key, ...(await readKeys(keysDir))].slice(0, MAX_KEYS);
  await makeFileAtomically(join(keysDir, KEY_FILE), (temporaryPath) =>
    writeFile(temporaryPath, JSON.stringify(keys), { mode: 0o600 }),
  );
  return key.kid;
}

/** The statement in an envelope with the key's signature. */
export function signStatement(
  { kid: keyid, ...jwk }: PrivateKey,
  statement: object,
  payloadType: string = PAYLOAD_TYPE,
): Envelope {
  const payload = Buffer.from(JSON.stringify(statement));
  const key = createPrivateKey({ key: { ...jwk }, format: 'jwk' });
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
    await makeFirstKey(keysDir, path);
    return readKeys(keysDir);
  }
  try {
    return JSON.parse(text) as PrivateKey[];
  } catch (cause) {
    throw new Error(`${path} is damaged; remove it to get a new key`, { cause });
  }
}

/** Of two processes that are both the first, the second keeps what the first one made. */
async function makeFirstKey(keysDir: string, path: string): Promise<void> {
  await mkdir(keysDir, { recursive: true });
  const temporaryPath = `${path}.${randomUUID()}.tmp`;
  await writeFile(temporaryPath, JSON.stringify([makeManifestKey()]), { mode: 0o600 });
  try {
    await link(temporaryPath, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporaryPath);
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
