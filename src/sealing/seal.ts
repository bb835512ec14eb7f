// Authenticated encryption of short values: AES-256-GCM with a random nonce. What a value belongs to is part of what is
// authenticated, so a sealed value opens in its own place only.

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** The cipher of everything that is sealed. */
export const CIPHER = 'aes-256-gcm';
/** Bytes of every key. */
export const KEY_BYTES = 32;
/** Bytes of GCM's authentication tag. */
export const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/** Something is not what was sealed here with this key: damaged, moved from another place, or of another key. */
export class UnsealError extends Error {
  override readonly name = 'UnsealError';
}

/** `header || nonce || ciphertext || tag`. Random nonces of 96 bits are safe for 2^32 values under one key (NIST SP 800-38D,
 *  8.3). The header, none by default, is not authenticated. */
export function sealBytes(
  key: Uint8Array,
  place: string,
  plain: Uint8Array,
  header: Uint8Array = new Uint8Array(),
): Buffer {
  const nonce = drawNonce();
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(place));
  const text = cipher.update(plain);
  return Buffer.concat([header, nonce, text, cipher.final(), cipher.getAuthTag()]);
}

/** Random bytes that no nonce has had yet: drawing twelve at a time takes a fifth as long as all the rest of sealing. */
let unused = Buffer.alloc(0);
const DRAWN_BYTES = 256 * NONCE_BYTES;

function drawNonce(): Buffer {
  if (unused.length === 0) unused = randomBytes(DRAWN_BYTES);
  const nonce = unused.subarray(0, NONCE_BYTES);
  unused = unused.subarray(NONCE_BYTES);
  return nonce;
}

/** What `sealBytes` was given. Throws UnsealError unless key and place are the same and no bit has changed. */
export function openBytes(key: Uint8Array, place: string, sealed: Uint8Array): Buffer {
  const tagAt = sealed.length - TAG_BYTES;
  if (tagAt < NONCE_BYTES) throw new UnsealError('a sealed value is too short');
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(place))
    .setAuthTag(sealed.subarray(tagAt));
  try {
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, tagAt));
    return Buffer.concat([plain, decipher.final()]);
  } catch (cause) {
    throw new UnsealError('a sealed value is damaged, or belongs elsewhere', { cause });
  }
}

/** A key of its own for each purpose (HKDF-SHA-256, RFC 5869), so that no two uses of a data key meet. */
export function deriveKey(
  key: Uint8Array,
  purpose: string,
  salt: Uint8Array = new Uint8Array(),
): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, purpose, KEY_BYTES));
}
