import type { AdapterMessage, ChangeAnswer } from '../../../src/sync/protocol.ts';
import {
  type AdapterStatement,
  PREDICATE_TYPE,
  STATEMENT_TYPE,
} from '../../../src/sync/protocol-manifest.ts';

/** The bytes of a chunk that a body comes in. */
const CHUNK_BYTES = 4;

/** What becomes of one request. */
export type Fault =
  | 'none'
  /** It never arrives. */
  | 'lost-request'
  /** It is done, and nobody hears of it. */
  | 'lost-reply'
  /** It is done twice; the second answer arrives. */
  | 'twice'
  /** It counts as lost, and is done after the next request. */
  | 'late'
  /** The server is busy. */
  | 'busy'
  /** A body ends in the middle. */
  | 'cut'
  /** A byte of a body is another one. */
  | 'flipped';

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

/** The bytes of a file, or what is left of them where the range fits. */
export function sendFile(
  bytes: Uint8Array,
  { headers }: RequestInit,
  how: {
    readonly etag: string;
    readonly fault: Fault;
    readonly onSent: (byteCount: number) => void;
  },
): Response {
  const asked = new Headers(headers as Record<string, string>);
  const from = asked.get('if-range') === how.etag ? asked.get('range') : null;
  const start = Number(/^bytes=(\d+)-$/.exec(from ?? '')?.[1] ?? 0);
  const body = Uint8Array.from(bytes.subarray(start));
  if (how.fault === 'flipped') body[0] = (body[0] ?? 0) ^ 1;
  const range = { 'content-range': `bytes ${start}-${bytes.length}/${bytes.length}` };
  return new Response(streamOf(body, how.fault === 'cut', how.onSent), {
    status: start > 0 ? 206 : 200,
    headers: start > 0 ? range : {},
  });
}

/** A body in chunks; a cut one breaks off in its middle. */
function streamOf(
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
