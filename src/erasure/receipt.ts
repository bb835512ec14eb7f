// What a user is given of an erasure: the server's signed word on what went and when, which anybody can check without it.

import { createHash, createPublicKey, verify } from 'node:crypto';
import type { ManifestKeys } from '../sync/manifest-keys.ts';
import { type Envelope, type PublicKey, signedBytes } from '../sync/protocol-manifest.ts';

/** What the envelope's payload is. Other fields need another name. */
const RECEIPT_TYPE = 'application/vnd.attune.erasure-receipt.v1+json';

/** What went, counted in rows. */
export type ErasedCounts = Readonly<Record<string, number>>;

/** What an erasure did. */
export interface Erasure {
  readonly scope:
    | { readonly kind: 'VIEWER' }
    | { readonly kind: 'RECORDS'; readonly source: string; readonly before: string | null };
  /** The global id of the user as it was. */
  readonly user: string;
  /** ISO 8601, as is `completedAt`. */
  readonly requestedAt: string;
  readonly completedAt: string;
  readonly counts: ErasedCounts;
  /** SHA-256 of the adapters that were withdrawn; oldest first. */
  readonly adapters: readonly string[];
  /** SHA-256 of the data key that was destroyed; null: it is still needed. */
  readonly dataKeySha256: string | null;
}

/** A DSSE envelope and the public keys that it is signed with. */
export interface Receipt extends Envelope {
  readonly keys: readonly PublicKey[];
}

/** Signs a receipt. */
export async function signReceipt(keys: ManifestKeys, erasure: Erasure): Promise<Receipt> {
  const envelope = await keys.sign(erasure, RECEIPT_TYPE);
  const ids = envelope.signatures.map(({ keyid }) => keyid);
  const used = (await keys.publicKeys()).filter(({ kid }) => ids.includes(kid));
  return { ...envelope, keys: used };
}

/** What a receipt says, and the id of the key that signed it: the fingerprint of the key itself, so no other key has it.
 *  Whether that key is a server's is for who reads it to know. Throws Error with what is wrong. */
export function openReceipt(text: string): { readonly erasure: Erasure; readonly keyId: string } {
  const receipt = parse(text);
  const [signature] = receipt.signatures;
  const key = receipt.keys.find(({ kid }) => kid === signature?.keyid);
  if (signature === undefined || key === undefined) throw new Error('it has no signature');
  if (thumbprintOf(key) !== key.kid) throw new Error('the key in it is not the one it names');
  const payload = Buffer.from(receipt.payload, 'base64');
  const publicKey = createPublicKey({ key: { ...key }, format: 'jwk' });
  const sig = Buffer.from(signature.sig, 'base64');
  if (!verify(null, signedBytes(receipt.payloadType, payload), publicKey, sig))
    throw new Error('its text is not what was signed');
  return { erasure: JSON.parse(payload.toString()) as Erasure, keyId: key.kid };
}

function parse(text: string): Receipt {
  try {
    const receipt = JSON.parse(text) as Partial<Receipt>;
    const { payloadType, payload, signatures, keys } = receipt;
    const isWhole =
      payloadType === RECEIPT_TYPE &&
      typeof payload === 'string' &&
      Array.isArray(signatures) &&
      Array.isArray(keys);
    if (isWhole) return receipt as Receipt;
  } catch {
    // said below
  }
  throw new Error('it is no receipt');
}

/** RFC 7638. */
function thumbprintOf({ x }: PublicKey): string {
  const members = JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x });
  return createHash('sha256').update(members).digest('base64url');
}
