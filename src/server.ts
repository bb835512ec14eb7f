// The network side: one port for GraphQL over HTTP and WebSocket, downloads, health and the query editor.

import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type RequestHandler, type Router } from 'express';
import type { GraphQLSchema } from 'graphql';
import { sql } from 'kysely';
import type { pino } from 'pino';
import type { Services } from '../schema/context.ts';
import type { Authenticator } from './auth/token-claims.ts';
import { type Clock, rest } from './lib/clock.ts';
import { StartError } from './lib/start-error.ts';
import { downloads } from './sync/downloads.ts';
import { manifests } from './sync/manifests.ts';
import { createApollo } from './transport/apollo.ts';
import { callerOf } from './transport/client-address.ts';
import { errorResponder, notFoundResponder } from './transport/error-response.ts';
import { graphiqlRouter, sendGraphiqlPage } from './transport/graphiql.ts';
import { createHttpHandler, type HttpHandler } from './transport/http.ts';
import {
  createOperationGate,
  type OnOperation,
  type OperationGate,
} from './transport/operation-gate.ts';
import type { Protection } from './transport/protection.ts';
import { serveWebSockets } from './transport/websocket.ts';

/** How long answers that are being given may take once the server stops. */
const DRAIN_MS = 2_000;
/** Where GraphQL is served, over both transports. */
const PATH = '/graphql';

/** Where to listen. */
export interface Address {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** What a server serves, and where. */
export interface ServerOptions extends Address {
  readonly schema: GraphQLSchema;
  readonly services: Services;
  readonly authenticator: Authenticator;
  readonly logger: pino.Logger;
  readonly protection: Protection;
  /** Told of every operation that was answered. */
  readonly onOperation?: OnOperation;
  /** What the server tells those who run it, besides /healthz. */
  readonly operations?: Router;
}

/** A listening server. */
export interface Server {
  readonly url: string;
  /** How many WebSockets are open. */
  countSockets(): number;
  /** Takes no new requests, gives those under way a moment, then ends them. Ends within a few seconds. */
  close(): Promise<void>;
}

/** Starts to listen. Throws StartError when the address cannot be had. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { schema, services, logger } = options;
  const { clock } = services;
  const gate = createOperationGate(options);
  const apollo = createApollo(schema, gate);
  await apollo.start();
  const { requestMs } = gate.protection.limits;
  const graphql = createHttpHandler(apollo, gate);
  const app = createApp({ graphql, gate, ...options });
  const server = createServer(
    {
      requestTimeout: requestMs,
      headersTimeout: requestMs,
      // how often Node looks for those who take longer
      connectionsCheckingInterval: Math.ceil(requestMs / 10),
    },
    // nearly all requests are operations: they need none of what Express does for every request
    (request, response) =>
      request.method === 'POST' && request.url === PATH
        ? graphql(request, response)
        : app(request, response),
  );
  server.on('request', (_request, response) => {
    // a connection that would stay open for more requests has to go when the server stops
    response.once('close', () => server.listening || server.closeIdleConnections());
  });
  const address = await listen(server, options);
  const sockets = serveWebSockets({ server, path: PATH, schema, gate, clock, logger });
  return {
    url: urlOf(options.host, address),
    countSockets: sockets.count,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      sockets.close();
      server.closeIdleConnections();
      await soon(closed, clock);
      sockets.terminate();
      server.closeAllConnections();
      await closed;
      await apollo.stop();
    },
  };
}

/** Resolves with the promise, but after DRAIN_MS at the latest. */
async function soon(promise: Promise<unknown>, clock: Clock): Promise<void> {
  const settled = new AbortController();
  const waiting = rest(clock, DRAIN_MS, settled.signal);
  await Promise.race([promise, waiting]);
  settled.abort();
}

interface AppParts extends Pick<ServerOptions, 'services' | 'operations'> {
  readonly graphql: HttpHandler;
  readonly gate: OperationGate;
}

function createApp({ graphql, gate, services, operations }: AppParts): Express {
  const { isProduction, proxies } = gate.protection;
  const app = express();
  app.disable('x-powered-by');
  app.get('/healthz', healthz(services));
  if (operations !== undefined) app.use(operations);
  const authenticate = async (request: IncomingMessage) =>
    (await gate.admitDevice(callerOf(request, proxies))).viewer;
  app.use(downloads({ ...services, authenticate }));
  app.use(manifests({ ...services, authenticate }));
  if (!isProduction) serveEditor(app);
  app.all(PATH, graphql);
  app.use(notFoundResponder);
  app.use(errorResponder(gate.toClientError));
  return app;
}

function serveEditor(app: Express): void {
  app.use('/graphiql', graphiqlRouter());
  app.get(PATH, (request, response, next) =>
    request.accepts(['json', 'html']) === 'html' ? sendGraphiqlPage(request, response) : next(),
  );
}

/** Says whether the server can do its work, which needs the database. */
function healthz({ db }: Services): RequestHandler {
  return async (_request, response) => {
    await sql`select 1`.execute(db);
    response.json({ status: 'ok' });
  };
}

/** Throws StartError when a server could not listen there now. */
export async function checkAddress(address: Address): Promise<void> {
  const server = createServer();
  await listen(server, address);
  await new Promise((resolve) => server.close(resolve));
}

/** Listens, or explains why it cannot. */
function listen(server: HttpServer, { host, port }: Address): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new StartError(`Cannot listen on ${host}, port ${port}: ${whyNot(cause)}`, { cause }));
    });
    // a server that listens on TCP has a TCP address
    server.listen({ host, port }, () => resolve(server.address() as AddressInfo));
  });
}

function whyNot({ code, message }: NodeJS.ErrnoException): string {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE:
      'another program uses it. Stop that program, or choose another port with --port (0 picks a free one).',
    EACCES: 'this user may not. Choose a port above 1023 with --port.',
    EADDRNOTAVAIL: 'this machine does not have that address. Choose another with --host.',
    ENOTFOUND: 'there is no such host name. Choose another with --host.',
  };
  return reasons[code ?? ''] ?? message;
}

/** The address for a client on this machine. */
function urlOf(host: string, { port }: AddressInfo): string {
  const isAnywhere = host === '0.0.0.0' || host === '::';
  const name = isAnywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}
