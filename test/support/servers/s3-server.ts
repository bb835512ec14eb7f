// A server that speaks as much of S3's protocol as is used here, and checks every request's signature as AWS documents it
// (Signature Version 4). Written from the documentation, not with the client's own library.

import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, vi } from 'vitest';
import { must } from '../../../src/lib/errors.ts';

/** Who may ask. */
export const S3_ACCESS = { AWS_ACCESS_KEY_ID: 'attune', AWS_SECRET_ACCESS_KEY: 'secret/of+attune' };

/** What goes wrong with requests from now on. */
export type S3Fault =
  | 'none'
  /** Answers end in the middle. */
  | 'cut'
  /** Answers are altered on their way. */
  | 'altered'
  /** 503, as under too much load. */
  | 'busy'
  /** Nothing may be written. */
  | 'read-only';

/** A bucket in memory, at a URL for BLOB_URL. */
export interface S3Server {
  readonly url: string;
  /** Objects by key. */
  readonly objects: Map<string, { readonly bytes: Buffer; readonly sha256: string | undefined }>;
  /** Method and key of every request that was let in. */
  readonly requests: string[];
  fault: S3Fault;
  /** How many more requests the fault befalls. */
  faultsLeft: number;
  close(): Promise<void>;
}

const BUCKET = 'attune-test';
const PAGE = 3;

/** One server for the tests of a file, which this process may use; the bucket is empty and without faults before each. */
export function useS3Server(): () => S3Server {
  let server: S3Server | undefined;
  beforeAll(async () => {
    for (const [name, value] of Object.entries(S3_ACCESS)) vi.stubEnv(name, value);
    server = await startS3Server();
  });
  beforeEach(() => {
    const started = must(server, 'it has started');
    started.fault = 'none';
    started.faultsLeft = Number.POSITIVE_INFINITY;
    started.objects.clear();
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server?.close();
  });
  return () => must(server, 'the bucket exists only inside tests');
}

/** Starts a server with one empty bucket. */
export async function startS3Server(): Promise<S3Server> {
  const server = createServer((request, response) => {
    serve(state, request, response).catch((error: unknown) =>
      refuse(response, 500, 'InternalError', String(error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const state: S3Server = {
    url: `s3://${BUCKET}/some/prefix?endpoint=${encodeURIComponent(endpoint)}`,
    objects: new Map(),
    requests: [],
    fault: 'none',
    faultsLeft: Number.POSITIVE_INFINITY,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return state;
}

async function serve(
  state: S3Server,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await buffer(request);
  const flaw = signatureFlaw(request, body);
  if (flaw !== null) return refuse(response, 403, 'SignatureDoesNotMatch', flaw);
  const url = new URL(request.url ?? '', 'http://localhost');
  const [, bucket, ...rest] = url.pathname.split('/').map(decodeURIComponent);
  if (bucket !== BUCKET) return refuse(response, 404, 'NoSuchBucket', 'no such bucket');
  const key = rest.join('/');
  state.requests.push(`${request.method} ${key}`);
  const fault = state.faultsLeft > 0 ? state.fault : 'none';
  if (fault !== 'none') state.faultsLeft -= 1;
  if (fault === 'busy') return refuse(response, 503, 'SlowDown', 'slow down');
  if (fault === 'read-only' && request.method !== 'GET')
    return refuse(response, 403, 'AccessDenied', 'access denied');
  if (request.method === 'PUT') return put(state, key, { request, response, body });
  if (request.method === 'DELETE') {
    state.objects.delete(key);
    response.writeHead(204).end();
    return undefined;
  }
  return key === '' ? list(state, url, response) : get(state, key, { fault, response });
}

function put(
  { objects }: S3Server,
  key: string,
  { request, response, body }: { request: IncomingMessage; response: ServerResponse; body: Buffer },
): void {
  const checksum = createHash('sha256').update(body).digest('base64');
  if (request.headers['x-amz-checksum-sha256'] === checksum) {
    objects.set(key, { bytes: body, sha256: request.headers['x-amz-meta-sha256']?.toString() });
    response.setHeader('etag', `"${createHash('md5').update(body).digest('hex')}"`).end();
  } else {
    refuse(response, 400, 'BadDigest', 'the checksum is not that of the bytes');
  }
}

function get(
  { objects }: S3Server,
  key: string,
  { fault, response }: { fault: S3Fault; response: ServerResponse },
): void {
  const object = objects.get(key);
  if (object === undefined) {
    refuse(response, 404, 'NoSuchKey', 'no such key');
    return;
  }
  const { bytes, sha256 } = object;
  response.writeHead(200, {
    'content-length': bytes.length,
    ...(sha256 !== undefined && { 'x-amz-meta-sha256': sha256 }),
  });
  if (fault === 'cut') {
    response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
  } else {
    response.end(fault === 'altered' ? bytes.map((byte) => byte ^ 1) : bytes);
  }
}

/** A few keys at a time, so that whoever lists has to come back. */
function list({ objects }: S3Server, { searchParams }: URL, response: ServerResponse): void {
  const prefix = searchParams.get('prefix') ?? '';
  const after = searchParams.get('continuation-token') ?? '';
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, PAGE);
  const contents = page.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('');
  const isCut = keys.length > PAGE;
  const next = isCut ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
  response
    .setHeader('content-type', 'application/xml')
    .end(
      `<ListBucketResult><IsTruncated>${isCut}</IsTruncated>${contents}${next}</ListBucketResult>`,
    );
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  const text = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(text);
}

/** What is wrong with a request's signature; null when nothing is. */
function signatureFlaw({ method, url, headers }: IncomingMessage, body: Buffer): string | null {
  const match = headers.authorization?.match(
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8}\/[^/]+\/s3\/aws4_request), ?SignedHeaders=([^,]+), ?Signature=(\w+)$/,
  );
  if (!match) return 'the request is not signed';
  const [, account, scope = '', names = '', signature] = match;
  if (account !== S3_ACCESS.AWS_ACCESS_KEY_ID) return 'the account is unknown';
  const content = String(headers['x-amz-content-sha256']);
  if (content !== 'UNSIGNED-PAYLOAD' && content !== createHash('sha256').update(body).digest('hex'))
    return 'the content is not what was signed';
  const { pathname, searchParams } = new URL(url ?? '', 'http://localhost');
  const query = [...searchParams]
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .sort()
    .join('&');
  const signed = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = [method, pathname, query, signed.join(''), names, content].join('\n');
  const text = [
    'AWS4-HMAC-SHA256',
    headers['x-amz-date'],
    scope,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  const key = scope
    .split('/')
    .reduce<string | Buffer>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${S3_ACCESS.AWS_SECRET_ACCESS_KEY}`,
    );
  const expected = createHmac('sha256', key).update(text).digest('hex');
  return signature === expected ? null : 'the signature is another one';
}

/** Percent-encoding as Signature Version 4 has it. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
