// A file server on a free port that can misbehave: each request takes the next fault, and after the last one all goes well.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What goes wrong with one request. A cut comes when the client has said that it received those bytes. */
type Fault =
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: 'none' };

/** What a file server was asked and what it serves. */
export interface FileServer {
  readonly url: string;
  /** Paths, without their queries, with their content; may be changed at any time. */
  readonly files: Map<string, Uint8Array>;
  readonly faults: Fault[];
  /** Every request, in order; paths without their queries. */
  readonly requests: {
    readonly path: string;
    readonly range: string | undefined;
    readonly authorization: string | undefined;
  }[];
  /** Whether it answers with ETags and ranges. */
  supportsRanges: boolean;
  /** What a download's progress is to be passed to. */
  readonly received: (doneBytes: number) => void;
  close(): Promise<void>;
}

/** A response that will break off when the client has this many bytes of the file. */
interface Cut {
  readonly response: ServerResponse;
  readonly atBytes: number;
}

type State = FileServer & { readonly cuts: Set<Cut> };

/** Starts a server that is closed when the test has finished. */
export async function startFileServer(files: Record<string, Uint8Array>): Promise<FileServer> {
  const cuts = new Set<Cut>();
  const server = createServer((request, response) => answer(state, request, response));
  const close = async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  const state: State = {
    url: '',
    files: new Map(Object.entries(files)),
    faults: [],
    requests: [],
    supportsRanges: true,
    cuts,
    received: (doneBytes) => {
      for (const cut of cuts) if (doneBytes >= cut.atBytes) cut.response.destroy();
    },
    close,
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(close);
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, { url: `http://127.0.0.1:${port}` });
}

function answer(state: State, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '').replace(/\?.*/, '');
  const { range, authorization } = request.headers;
  state.requests.push({ path, range, authorization });
  const fault = state.faults.shift() ?? { kind: 'none' };
  if (fault.kind === 'status') {
    response.writeHead(fault.status, fault.headers).end('sorry');
    return;
  }
  const content = state.files.get(path);
  if (content === undefined) {
    response.writeHead(404).end('no such file');
    return;
  }
  const body = writeHead(state, request, response, content);
  if (fault.kind === 'none') response.end(body);
  else if (fault.afterBytes === 0) response.destroy();
  else {
    response.write(body.subarray(0, fault.afterBytes));
    state.cuts.add({ response, atBytes: content.length - body.length + fault.afterBytes });
  }
}

function writeHead(
  state: FileServer,
  request: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array,
): Uint8Array {
  const etag = `"${createHash('sha256').update(content).digest('hex')}"`;
  const wanted = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const isSame = request.headers['if-range'] === etag;
  const headers = state.supportsRanges ? { etag } : {};
  if (!state.supportsRanges || wanted === undefined || !isSame) {
    response.writeHead(200, { ...headers, 'content-length': content.length });
    return content;
  }
  const start = Number(wanted);
  if (start >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` });
    return new Uint8Array(0);
  }
  const range = `bytes ${start}-${content.length - 1}/${content.length}`;
  response.writeHead(206, {
    ...headers,
    'content-range': range,
    'content-length': content.length - start,
  });
  return content.subarray(start);
}
