// The signed word of the server on one adapter: an in-toto statement in a DSSE envelope, signed with Ed25519. Shared by
// who signs and who checks; knows nothing of either's keys.

import type { FileMessage } from './protocol.ts';

/** What the envelope's payload is. */
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
/** Other fields in the predicate need another name. */
export const PREDICATE_TYPE = 'urn:attune:adapter-manifest:v2';

/** A DSSE envelope as JSON carries it. */
export interface Envelope {
  readonly payloadType: string;
  /** base64 of the statement's JSON. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

/** What is said of the files of one adapter. */
export interface AdapterStatement {
  readonly _type: string;
  readonly predicateType: string;
  readonly subject: readonly {
    readonly name: string;
    readonly digest: { readonly sha256: string };
  }[];
  readonly predicate: {
    readonly user: string;
    readonly adapterId: string;
    readonly mode: string;
    /** Everyone's, with version numbers of its own. */
    readonly shipped: boolean;
    /** Grows with every publication; a rollback is a higher version with old bytes. */
    readonly version: number;
    readonly base: string;
    readonly files: readonly Omit<FileMessage, 'url'>[];
    readonly dataset: string | null;
    /** The adapter knows every change up to here. */
    readonly changeSeq: number | null;
    /** ISO 8601, as is `expires`: checked when the adapter is installed, not later. */
    readonly createdAt: string;
    readonly expires: string;
    readonly previous: { readonly version: number; readonly sha256: string } | null;
  };
}

/** A public key as `/.well-known/attune-keys.json` lists them. */
export interface PublicKey {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  /** base64url of the key's 32 bytes. */
  readonly x: string;
  readonly kid: string;
}

/** The bytes that are signed: DSSE's pre-authentication encoding, so that no other document's signature fits. */
export function signedBytes(payloadType: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const typeLength = encoder.encode(payloadType).length;
  const head = encoder.encode(`DSSEv1 ${typeLength} ${payloadType} ${payload.length} `);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}
