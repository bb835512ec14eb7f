import type { AdapterMessage, ChangeAnswer } from '../../src/sync/protocol.ts';
import {
  type AdapterStatement,
  PREDICATE_TYPE,
  STATEMENT_TYPE,
} from '../../src/sync/protocol-manifest.ts';

/** The bytes of a chunk that a body comes in. */
const CHUNK_BYTES = 4;

export interface OracleDevice {
  readonly answers: { payload: string; answer: ChangeAnswer }[];
  readonly held: Map<string, string>;
  seenAt: number;
}

export interface OracleAdapter extends AdapterMessage {
  status: 'LIVE' | 'SUPERSEDED' | 'REVOKED';
}

/** What the oracle's manifests say of an adapter. */
export function statementOf(adapter: AdapterMessage): AdapterStatement {
  return {
    _type: STATEMENT_TYPE,
    predicateType: PREDICATE_TYPE,
    subject: adapter.files.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicate: {
      user: 'the user',
      adapterId: adapter.id,
      mode: adapter.mode.key,
      shipped: adapter.origin === 'SHIPPED',
      version: adapter.version,
      base: adapter.base.sha256,
      files: adapter.files,
      dataset: null,
      changeSeq: 0,
      createdAt: '2026-01-01T00:00:00.000Z',
      expires: '2026-01-02T00:00:00.000Z',
      previous: null,
    },
  };
}

/** A body in chunks; a cut one breaks off in its middle. */
export function streamOf(
  body: Uint8Array,
  isCut: boolean,
  onSent: (byteCount: number) => void,
): ReadableStream<Uint8Array> {
  const end = isCut ? Math.floor(body.length / 2) : body.length;
  let at = 0;
  return new ReadableStream({
    pull: (controller) => {
      const chunk = body.subarray(at, Math.min(at + CHUNK_BYTES, end));
      at += chunk.length;
      onSent(chunk.length);
      if (chunk.length > 0) controller.enqueue(chunk);
      else if (isCut) controller.error(new TypeError('terminated'));
      else controller.close();
    },
  });
}
