// GraphQL over WebSocket (graphql-transport-ws): the socket's side of the protocol. What an operation may do is the
// gate's business; this file opens and closes sockets, and ends what their clients no longer wait for.

import type { Server as HttpServer } from 'node:http';
import type { GraphQLFormattedError, GraphQLSchema } from 'graphql';
import { type Context as Connection, handleProtocols, makeServer } from 'graphql-ws';
import type { pino } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../lib/clock.ts';
import { must } from '../lib/errors.ts';
import { MAX_REQUEST_BYTES, type OperationGate, type Session } from './operation-gate.ts';

/** A socket whose client has not answered a ping when the next one is due is gone. */
const PING_EVERY_MS = 30_000;
/** Close codes of the protocol, and of WebSocket itself (RFC 6455). */
const CLOSE = { goingAway: 1001, unauthenticated: 4401, internalError: 4500 } as const;
/** A close frame has room for this many bytes of reason. */
const MAX_REASON_BYTES = 123;

/** What we know of one open socket. */
interface SocketState {
  readonly socket: WebSocket;
  /** Aborts when the socket has closed. */
  readonly closed: AbortController;
  session: Session | null;
}

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
    handleProtocols,
  });
  const protocol = createProtocol(options);
  sockets.on('connection', (socket) => openSocket(socket, protocol, options));
  return {
    count: () => sockets.clients.size,
    close: () => {
      sockets.close();
      for (const socket of sockets.clients) socket.close(CLOSE.goingAway, 'the server is stopping');
    },
    terminate: () => {
      for (const socket of sockets.clients) socket.terminate();
    },
  };
}

function createProtocol({ schema, gate }: WebSocketOptions): Protocol {
  return makeServer<Params, SocketState>({
    async onConnect(connection) {
      try {
        connection.extra.session = await gate.admit(authorizationOf(connection));
        return true;
      } catch (error) {
        refuse(connection.extra.socket, gate.toClientError(error));
        return false;
      }
    },
    onSubscribe({ extra }, _id, payload) {
      const session = must(extra.session, 'a session was opened before the first operation');
      const document = gate.readDocument(payload.query);
      if (!('kind' in document)) return document;
      return {
        schema,
        document,
        operationName: payload.operationName,
        variableValues: payload.variables,
        contextValue: gate.contextOf(session, extra.closed.signal),
      };
    },
    // the fifth argument is the result
    onNext: (...[, , , , { errors, data, extensions }]) =>
      errors && {
        errors: errors.map(gate.toClientError),
        ...(data !== undefined && { data }),
        ...(extensions !== undefined && { extensions }),
      },
    onError: (_connection, _id, _payload, errors) => errors.map(gate.toClientError),
  });
}

/** Clients send the token as the payload's `authorization`; browsers' tools copy a header's capital letter. */
function authorizationOf({ connectionParams }: Connection<Params, SocketState>) {
  const value = connectionParams?.authorization ?? connectionParams?.Authorization;
  return typeof value === 'string' ? value : undefined;
}

function refuse(socket: WebSocket, { message, extensions }: GraphQLFormattedError): void {
  const isTheirs = extensions?.code === 'UNAUTHENTICATED';
  const reason = Buffer.from(message).subarray(0, MAX_REASON_BYTES).toString('latin1');
  socket.close(isTheirs ? CLOSE.unauthenticated : CLOSE.internalError, reason);
}

function openSocket(socket: WebSocket, protocol: Protocol, options: WebSocketOptions): void {
  const { logger, clock } = options;
  const state: SocketState = { socket, closed: new AbortController(), session: null };
  const onClosed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (text) => send(socket, text),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => {
        socket.on('message', (message: WebSocket.RawData) => {
          handle(message.toString()).catch((err) => {
            logger.error({ err }, 'a message could not be handled');
            socket.close(CLOSE.internalError, 'the message could not be handled');
          });
        });
      },
    },
    state,
  );
  // A broken or oversized frame: ws closes the socket itself, with the code that says so
  socket.on('error', (err) => logger.debug({ err }, 'a socket broke'));
  socket.once('close', (code, reason) => {
    state.closed.abort();
    onClosed(code, reason.toString()).catch((err) => logger.error({ err }, 'closing a socket'));
  });
  watch(state, clock).catch((err) => logger.error({ err }, 'watching a socket'));
}

function send(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // what is meant for a client that has left is not missed by anybody
    if (socket.readyState !== WebSocket.OPEN) return resolve();
    socket.send(text, (error) =>
      error && socket.readyState === WebSocket.OPEN ? reject(error) : resolve(),
    );
  });
}

/** Closes the socket when its token has ended or its client does not answer; ends with the socket. */
async function watch(state: SocketState, clock: Clock): Promise<void> {
  const { socket, closed } = state;
  let isAlive = true;
  socket.on('pong', () => {
    isAlive = true;
  });
  while (await passes(PING_EVERY_MS, clock, closed.signal)) {
    if (state.session !== null && state.session.expiresAt <= clock.now()) {
      socket.close(CLOSE.unauthenticated, 'the token has expired');
    }
    if (!isAlive) socket.terminate();
    isAlive = false;
    socket.ping();
  }
}

/** True once the time has passed; false when the signal aborted first. */
function passes(ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  return clock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}
