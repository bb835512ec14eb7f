// A site whose pages may use threads (cross-origin isolated), with the SDK and onnxruntime-web; what it does not have, it
// hands on to a server of ours, so that pages have both under one origin.

import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { must } from '../../src/lib/errors.ts';

const WASM = fileURLToPath(import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'));

/** What a page must be sent with for its threads to share memory. */
const ISOLATION = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

const workerSource = (threads: number) => `
  import * as ort from 'onnxruntime-web/wasm';
  import { serveEngine } from './src/client/answers/engine-worker.ts';
  ort.env.wasm.wasmPaths = { wasm: '/ort.wasm' };
  ort.env.wasm.numThreads = ${threads};
  serveEngine(self, ort);`;

/** The source of a Worker's module that trains. */
export const trainerSource = (threads: number) => `
  import * as ort from 'onnxruntime-web/wasm';
  import { serveTrainer } from './src/client/training/trainer-worker.ts';
  ort.env.wasm.wasmPaths = { wasm: '/ort.wasm' };
  ort.env.wasm.numThreads = ${threads};
  serveTrainer(self, ort);`;

const EMPTY_PAGE = '<!doctype html><script type="module" src="/page.js"></script>';

interface SiteFile {
  readonly type: string;
  readonly body: string;
}

/** What a site may have besides the SDK. */
export interface SiteOptions {
  /** Of onnxruntime in a Worker; default 1. */
  readonly threads?: number;
  /** The source of the Worker's module; left out: the engine alone. */
  readonly worker?: string;
  /** Sources of further modules, by path. */
  readonly modules?: Readonly<Record<string, string>>;
  /** The page, which loads /page.js. */
  readonly html?: string;
  /** Further files by path. */
  readonly more?: Readonly<Record<string, SiteFile>>;
  /** Any free one when left out. */
  readonly port?: number;
}

/** A running site. Its page is at `/phone`. */
export interface DeviceSite {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts a site in front of the server at `target`; `page` is the source of the page's module, `worker`
 *  that of /worker.js. */
export async function startDeviceSite(
  target: string,
  page: string,
  {
    threads = 1,
    worker = workerSource(threads),
    modules = {},
    html = EMPTY_PAGE,
    more = {},
    port: wanted = 0,
  }: SiteOptions = {},
): Promise<DeviceSite> {
  const files: Record<string, SiteFile> = {
    '/phone': {
      type: 'text/html',
      body: html,
    },
    '/page.js': { type: 'text/javascript', body: await bundle(page) },
    ...more,
    '/worker.js': { type: 'text/javascript', body: await bundle(worker) },
  };
  for (const [path, source] of Object.entries(modules))
    files[path] = { type: 'text/javascript', body: await bundle(source) };
  const server = createServer((incoming, response) => {
    const path = new URL(incoming.url ?? '/', target).pathname;
    const file = files[path];
    if (file !== undefined) {
      response.writeHead(200, { ...ISOLATION, 'content-type': file.type }).end(file.body);
    } else if (path === '/ort.wasm') {
      response.writeHead(200, { ...ISOLATION, 'content-type': 'application/wasm' });
      createReadStream(WASM).pipe(response);
    } else handOn(target, incoming, response);
  });
  server.on('upgrade', (incoming, socket, head) => handOnSocket(target, incoming, socket, head));
  await new Promise<void>((resolve) => server.listen(wanted, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function bundle(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    logLevel: 'error',
  });
  return must(outputFiles[0], 'a bundle').text;
}

function handOn(target: string, incoming: IncomingMessage, response: ServerResponse): void {
  const { method, headers } = incoming;
  const onward = request(new URL(incoming.url ?? '/', target), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...ISOLATION });
    answer.pipe(response);
  });
  onward.on('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502, ISOLATION).end();
  });
  incoming.pipe(onward);
}

function handOnSocket(
  target: string,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const { hostname, port } = new URL(target);
  const onward = connect(Number(port), hostname, () => {
    const headers = incoming.rawHeaders.map((text, i) => text + (i % 2 === 0 ? ': ' : '\r\n'));
    onward.write(`GET ${incoming.url} HTTP/1.1\r\n${headers.join('')}\r\n`);
    onward.write(head);
    socket.pipe(onward).pipe(socket);
  });
  onward.on('error', () => socket.destroy());
  socket.on('error', () => onward.destroy());
}
