// Whether a signed manifest lets this device install this adapter. Pure but for the signature's check, which is the
// platform's.

import type { AdapterMessage } from '../../sync/protocol.ts';
import {
  type AdapterStatement,
  type Envelope,
  PAYLOAD_TYPE,
  PREDICATE_TYPE,
  type PublicKey,
  STATEMENT_TYPE,
  signedBytes,
} from '../../sync/protocol-manifest.ts';

/** What the device knows, for the manifest to be held against. */
export interface Expected {
  readonly adapter: AdapterMessage;
  /** The user whose device this is; null before the first manifest. */
  readonly user: string | null;
  /** The newest version of the mode that was ever installed here. */
  readonly newestVersion: number;
  /** The hash of the device's base model; null when it has none. */
  readonly base: string | null;
  readonly now: number;
}

/** Says whether the signature of the bytes is the key's. */
export type VerifySignature = (
  key: PublicKey,
  bytes: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
) => Promise<boolean>;

/** WebCrypto's Ed25519: Node 20, Chromium 137, Firefox 129, Safari 17 and later. */
export const verifyByWebCrypto: VerifySignature = async ({ kty, crv, x }, bytes, signature) => {
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x }, 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, signature, bytes);
};

/** The statement of an envelope that one of the keys has signed; null when none has. */
export async function openEnvelope(
  { payloadType, payload, signatures }: Envelope,
  keys: readonly PublicKey[],
  verify: VerifySignature,
): Promise<AdapterStatement | null> {
  if (payloadType !== PAYLOAD_TYPE) return null;
  const content = fromBase64(payload);
  const bytes = signedBytes(payloadType, content);
  for (const { keyid, sig } of signatures) {
    const key = keys.find(({ kid }) => kid === keyid);
    if (key !== undefined && (await verify(key, bytes, fromBase64(sig)))) {
      return JSON.parse(new TextDecoder().decode(content)) as AdapterStatement;
    }
  }
  return null;
}

type Predicate = AdapterStatement['predicate'];

/** Why the device must not install what the statement speaks of; null when it may. */
export function refusalOf(statement: AdapterStatement, expected: Expected): string | null {
  const { predicate } = statement;
  if (statement._type !== STATEMENT_TYPE || statement.predicateType !== PREDICATE_TYPE) {
    return `the manifest is a ${statement.predicateType}`;
  }
  return otherSubject(predicate, expected) ?? staleness(predicate, expected);
}

/** Why the statement is not about this adapter for this user; null when it is. */
function otherSubject(predicate: Predicate, { adapter, user }: Expected): string | null {
  if (predicate.adapterId !== adapter.id || predicate.mode !== adapter.mode.key) {
    return `the manifest is that of ${predicate.mode} ${predicate.adapterId}`;
  }
  if (predicate.shipped !== (adapter.origin === 'SHIPPED')) {
    return `the manifest is that of ${predicate.shipped ? 'a shipped' : "a user's"} adapter`;
  }
  if (user !== null && predicate.user !== user) return "the manifest is another user's";
  return listOf(predicate.files) === listOf(adapter.files)
    ? null
    : 'the manifest names other files';
}

/** Why the adapter is not for this device now; null when it is. */
function staleness(predicate: Predicate, expected: Expected): string | null {
  const { adapter } = expected;
  if (predicate.version !== adapter.version || predicate.version < expected.newestVersion) {
    return `version ${predicate.version} after version ${expected.newestVersion}`;
  }
  if (predicate.base !== (expected.base ?? adapter.base.sha256)) {
    return `the adapter belongs to another base, ${predicate.base}`;
  }
  if (
    Date.parse(predicate.expires) <= expected.now ||
    Number.isNaN(Date.parse(predicate.expires))
  ) {
    return `the manifest expired at ${predicate.expires}`;
  }
  return null;
}

function listOf(files: AdapterStatement['predicate']['files']): string {
  const lines = files.map(({ name, sizeBytes, sha256 }) => `${sha256} ${sizeBytes} ${name}`);
  return lines.sort().join('\n');
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
