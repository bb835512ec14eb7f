// GraphQL over WebSocket (graphql-transport-ws): the socket's side of the protocol. What an operation may do is the
// gate's business; this file opens and closes sockets, and ends what their clients no longer wait for.

import { setMaxListeners } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import {
  type ExecutionArgs,
  execute,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  OperationTypeNode,
} from 'graphql';
import { type Context as Connection, handleProtocols, makeServer } from 'graphql-ws';
import type { pino } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import type { Context } from '../../schema/context.ts';
import { type Clock, within } from '../lib/clock.ts';
import { AppError, must } from '../lib/errors.ts';
import { tracedRequest } from '../lib/trace.ts';
import { clientAddress } from './client-address.ts';
import { type Limits, MAX_REQUEST_BYTES } from './limits.ts';
import { isDocument, type OperationGate } from './operation-gate.ts';
import { CLOSE, endSocket, pong, type SocketState, send } from './socket-state.ts';
import { SocketWatch } from './socket-watch.ts';
import { subscribe } from './subscribe.ts';
import type { DocumentRequest } from './trusted-documents.ts';
import { RETRY_SOCKET_MS, UserPlaces } from './user-places.ts';

/** How a socket is closed that may not be opened. */
const REFUSALS: Readonly<Record<string, number>> = {
  UNAUTHENTICATED: CLOSE.unauthenticated,
  FORBIDDEN: CLOSE.forbidden,
  RATE_LIMITED: CLOSE.tooMany,
};
type Params = Record<string, unknown>;
type Protocol = ReturnType<typeof makeServer<Params, SocketState>>;

/** What the sockets are served with. */
export interface WebSocketOptions {
  readonly server: HttpServer;
  readonly path: string;
  readonly schema: GraphQLSchema;
  readonly gate: OperationGate;
  readonly clock: Clock;
  readonly logger: pino.Logger;
}

/** All open sockets. */
export interface WebSockets {
  /** How many there are now. */
  count(): number;
  /** Asks all clients to leave (close code 1001: they may resume elsewhere) and takes no new ones. */
  close(): void;
  /** Cuts off those who have not left. */
  terminate(): void;
}

/** Serves GraphQL on the HTTP server's sockets at `path`. */
export function serveWebSockets(options: WebSocketOptions): WebSockets {
  const sockets = new WebSocketServer({
    server: options.server,
    path: options.path,
    maxPayload: MAX_REQUEST_BYTES,
    autoPong: false,
    handleProtocols,
  });
  const protocol = createProtocol(options);
  const watch = new SocketWatch(options.clock);
  options.gate.revokedDevices.onRevoked((device) => watch.endDevice(device));
  options.gate.revokedDevices.onErased((userId) => watch.endUserSoon(userId));
  watch.run().catch((err) => options.logger.error({ err }, 'watching the sockets'));
  sockets.on('connection', (socket, request) => {
    const address = clientAddress(request, options.gate.protection.proxies);
    const closed = new AbortController();
    // each of the operations on a socket listens
    setMaxListeners(0, closed.signal);
    const state = {
      socket,
      address,
      closed,
      session: null,
      endsAt: null,
      nextPingAt: 0,
      isAlive: true,
      unsentCount: 0,
    };
    watch.add(state);
    openSocket(state, protocol, options);
    options.gate.knock(address).catch((error) => refuse(state, options.gate.toClientError(error)));
    cutOffTalkers(request.socket, state, options.gate.protection.limits);
  });
  return {
    count: () => sockets.clients.size,
    close: () => {
      watch.close();
      sockets.close();
      for (const socket of sockets.clients) socket.close(CLOSE.goingAway, 'the server is stopping');
    },
    terminate: () => {
      for (const socket of sockets.clients) socket.terminate();
    },
  };
}

function createProtocol({ schema, gate }: WebSocketOptions): Protocol {
  const { socketsPerUser, socketInitMs, operationMs } = gate.protection.limits;
  const places = new UserPlaces(socketsPerUser);
  return makeServer<Params, SocketState>({
    connectionInitWaitTimeout: socketInitMs,
    async onConnect(connection) {
      const { extra } = connection;
      try {
        const { address, closed } = extra;
        const caller = { authorization: authorizationOf(connection), address };
        await gate.revokedDevices.steadily(async () => {
          extra.session = await gate.admit(caller);
        });
        const { viewer, expiresAt } = must(extra.session, 'the caller was admitted');
        places.take(viewer.id, closed.signal);
        // the client makes the next connection with the next token before then
        return { tokenExpiresAt: new Date(expiresAt).toISOString() };
      } catch (error) {
        refuse(extra, gate.toClientError(error));
        return false;
      }
    },
    async onSubscribe(connection, _id, payload) {
      try {
        return await readOperation(connection, payload, { schema, gate });
      } catch (error) {
        return [asGraphqlError(error)];
      }
    },
    // queries and mutations: subscriptions go on until their sockets close
    execute: (args: ExecutionArgs) => {
      const context = args.contextValue as Context;
      return within(operationMs, context.signal, async (signal) =>
        tracedRequest('websocket', async () =>
          execute({ ...args, contextValue: { ...context, signal } }),
        ),
      );
    },
    subscribe,
    // the arguments are connection, id, payload, what was executed, and the result
    onOperation: (...[, , , args, result]) => {
      if (isAsyncIterable(result)) gate.ended({ kind: kindOf(args), data: null });
    },
    onNext: (...[, , , args, { errors: found, data, extensions }]) => {
      const errors = found?.map(gate.toClientError);
      const kind = kindOf(args);
      if (errors || kind !== OperationTypeNode.SUBSCRIPTION) gate.ended({ kind, errors, data });
      return (
        errors && {
          errors,
          ...(data !== undefined && { data }),
          ...(extensions !== undefined && { extensions }),
        }
      );
    },
    onError: (_connection, _id, _payload, found) => {
      const errors = found.map(gate.toClientError);
      gate.ended({ errors });
      return errors;
    },
  });
}

interface Payload extends DocumentRequest {
  readonly operationName?: string | null | undefined;
  readonly variables?: Record<string, unknown> | null | undefined;
}

/** What is to be executed, or what is wrong with it. Throws what the gate has against it. */
async function readOperation(
  { extra, subscriptions }: Connection<Params, SocketState>,
  payload: Payload,
  { schema, gate }: Pick<WebSocketOptions, 'schema' | 'gate'>,
): Promise<ExecutionArgs | readonly GraphQLError[]> {
  const session = must(extra.session, 'a session was opened before the first operation');
  const { operationsPerSocket } = gate.protection.limits;
  // counted at once: those that come while this one waits are not in its way
  const isCrowded = Object.keys(subscriptions).length > operationsPerSocket;
  await gate.knock(extra.address);
  if (isCrowded) {
    const text = `This socket has ${operationsPerSocket} operations under way, which is all it may have. End one.`;
    throw new AppError('RATE_LIMITED', text, { retryAfterMs: RETRY_SOCKET_MS });
  }
  const document = gate.documents.read(gate.findDocument(payload) ?? '');
  if (!isDocument(document)) return document;
  const { operationName, variables } = payload;
  await gate.checkOperation(session, { document, operationName, variables });
  return {
    schema,
    document,
    operationName: operationName ?? null,
    variableValues: variables ?? null,
    contextValue: gate.contextOf(session, extra.closed.signal),
  };
}

function kindOf({ document, operationName }: ExecutionArgs): OperationTypeNode | undefined {
  return getOperationAST(document, operationName)?.operation;
}

function isAsyncIterable(result: unknown): boolean {
  return typeof result === 'object' && result !== null && Symbol.asyncIterator in result;
}

function asGraphqlError(error: unknown): GraphQLError {
  return new GraphQLError('the operation was refused', { originalError: error as Error });
}

/** Clients send the token as the payload's `authorization`; browsers' tools copy a header's capital letter. */
function authorizationOf({ connectionParams }: Connection<Params, SocketState>) {
  const value = connectionParams?.authorization ?? connectionParams?.Authorization;
  return typeof value === 'string' ? value : undefined;
}

/** Whether a client sent what only servers may send: graphql-ws throws then, as if it were our fault. */
function isOutOfPlace(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Unexpected message of type');
}

function refuse(state: SocketState, { message, extensions }: GraphQLFormattedError): void {
  endSocket(state, REFUSALS[String(extensions?.code)] ?? CLOSE.internalError, message);
}

/** Nobody's words are kept who has not said who they are: frames are large, and strangers many. */
function cutOffTalkers(stream: Socket, state: SocketState, { socketInitBytes }: Limits): void {
  let heardBytes = 0;
  const listen = (bytes: Buffer) => {
    heardBytes += bytes.length;
    if (state.session !== null) stream.off('data', listen);
    else if (heardBytes > socketInitBytes) {
      state.socket.close(CLOSE.tooLarge, 'Say who you are first');
      // what else comes is thrown away unread
      stream.removeAllListeners('data').resume().end();
    }
  };
  stream.on('data', listen);
}

function openSocket(state: SocketState, protocol: Protocol, options: WebSocketOptions): void {
  const { logger, gate } = options;
  const { socket } = state;
  const { limits } = gate.protection;
  const onClosed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (text) => send(state, text, limits),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => {
        socket.on('message', (message: WebSocket.RawData) => {
          // what still comes on a socket that we are closing is nobody's any more
          if (socket.readyState !== WebSocket.OPEN) return;
          handle(message.toString()).catch((err) => {
            if (isOutOfPlace(err))
              return socket.close(CLOSE.badRequest, 'Invalid message received');
            logger.error({ err }, 'a message could not be handled');
            socket.close(CLOSE.internalError, 'the message could not be handled');
          });
        });
      },
    },
    state,
  );
  socket.on('ping', (payload: Buffer) => {
    pong(state, payload, limits).catch((err) => logger.debug({ err }, 'a socket broke'));
  });
  // A broken or oversized frame: ws closes the socket itself, with the code that says so
  socket.on('error', (err) => logger.debug({ err }, 'a socket broke'));
  socket.once('close', (code, reason) => {
    state.closed.abort();
    onClosed(code, reason.toString()).catch((err) => logger.error({ err }, 'closing a socket'));
  });
}
