// The network side: one port for GraphQL over HTTP and WebSocket, downloads, health and the query editor.

import { createServer, type IncomingMessage } from 'node:http';
import express, { type Express, type Router } from 'express';
import type { GraphQLSchema } from 'graphql';
import type { pino } from 'pino';
import type { Services } from '../schema/context.ts';
import type { Authenticator } from './auth/token-claims.ts';
import { atMost } from './lib/clock.ts';
import { type Address, listen, urlOf } from './lib/listen.ts';
import { healthz } from './operations/router.ts';
import { downloads } from './sync/downloads.ts';
import { manifests } from './sync/manifests.ts';
import { receiveUploads } from './sync/receive-uploads.ts';
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
      await atMost(clock, DRAIN_MS, closed);
      sockets.terminate();
      server.closeAllConnections();
      await closed;
      await apollo.stop();
    },
  };
}

interface AppParts extends Pick<ServerOptions, 'services' | 'operations'> {
  readonly graphql: HttpHandler;
  readonly gate: OperationGate;
}

function createApp({ graphql, gate, services, operations }: AppParts): Express {
  const { isProduction, proxies } = gate.protection;
  const app = express();
  app.disable('x-powered-by');
  app.get('/healthz', healthz);
  if (operations !== undefined) app.use(operations);
  const authenticate = async (request: IncomingMessage) =>
    (await gate.admitDevice(callerOf(request, proxies))).viewer;
  app.use(downloads({ ...services, authenticate }));
  app.use(receiveUploads({ ...services, authenticate }));
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
