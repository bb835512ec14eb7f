// GraphQL over WebSocket (graphql-transport-ws): the socket's side of the protocol. What an operation may do is the
// gate's business; this file opens and closes sockets, and ends what their clients no longer wait for.

import type { Server as HttpServer } from 'node:http';
import {
  type ExecutionArgs,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  OperationTypeNode,
} from 'graphql';
import { type Context as Connection, handleProtocols, makeServer } from 'graphql-ws';
import type { pino } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../lib/clock.ts';
import { AppError, must } from '../lib/errors.ts';
import { clientAddress } from './client-address.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';
import { isDocument, type OperationGate, type Session } from './operation-gate.ts';
import type { DocumentRequest } from './trusted-documents.ts';

/** A socket whose client has not answered a ping when the next one is due is gone. */
const PING_EVERY_MS = 30_000;
/** Close codes of the protocol, and of WebSocket itself (RFC 6455). */
const CLOSE = {
  goingAway: 1001,
  unauthenticated: 4401,
  forbidden: 4403,
  tooMany: 4429,
  internalError: 4500,
} as const;
/** How a socket is closed that may not be opened. */
const REFUSALS: Readonly<Record<string, number>> = {
  UNAUTHENTICATED: CLOSE.unauthenticated,
  FORBIDDEN: CLOSE.forbidden,
  RATE_LIMITED: CLOSE.tooMany,
};
/** When a place may have become free. */
const RETRY_SOCKET_MS = 1_000;
/** A close frame has room for this many bytes of reason. */
const MAX_REASON_BYTES = 123;

/** What we know of one open socket. */
interface SocketState {
  readonly socket: WebSocket;
  readonly address: string;
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
  sockets.on('connection', (socket, request) => {
    const address = clientAddress(request, options.gate.protection.proxies);
    openSocket(
      { socket, address, closed: new AbortController(), session: null },
      protocol,
      options,
    );
  });
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
  const places = new UserPlaces(gate.protection.limits.socketsPerUser);
  return makeServer<Params, SocketState>({
    async onConnect(connection) {
      const { extra } = connection;
      try {
        const { address } = extra;
        const session = await gate.admit({ authorization: authorizationOf(connection), address });
        places.take(session.viewer.id, extra.closed.signal);
        extra.session = session;
        return true;
      } catch (error) {
        refuse(extra.socket, gate.toClientError(error));
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

/** Counts the sockets of each user. */
class UserPlaces {
  readonly #limit: number;
  readonly #taken = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts one more until the signal aborts. Throws RATE_LIMITED when there are too many. */
  take(userId: string, closed: AbortSignal): void {
    const count = this.#taken.get(userId) ?? 0;
    if (count >= this.#limit) {
      const text = `This user has ${count} open sockets; at most ${this.#limit} are served. Close one.`;
      throw new AppError('RATE_LIMITED', text, { retryAfterMs: RETRY_SOCKET_MS });
    }
    // a client that left while it was being admitted has no place to give back
    if (closed.aborted) return;
    this.#taken.set(userId, count + 1);
    closed.addEventListener('abort', () => this.#free(userId), { once: true });
  }

  #free(userId: string): void {
    const left = (this.#taken.get(userId) ?? 0) - 1;
    if (left > 0) this.#taken.set(userId, left);
    else this.#taken.delete(userId);
  }
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
  const { operationsPerSocket, operationMs } = gate.protection.limits;
  if (Object.keys(subscriptions).length > operationsPerSocket) {
    const text = `This socket has ${operationsPerSocket} operations under way, which is all it may have. End one.`;
    throw new AppError('RATE_LIMITED', text, { retryAfterMs: RETRY_SOCKET_MS });
  }
  const document = gate.documents.read(gate.findDocument(payload) ?? '');
  if (!isDocument(document)) return document;
  const { operationName, variables } = payload;
  await gate.checkOperation(session, { document, operationName, variables });
  const operation = getOperationAST(document, operationName)?.operation;
  const isLong = operation === OperationTypeNode.SUBSCRIPTION;
  const closed = extra.closed.signal;
  const signal = isLong ? closed : AbortSignal.any([closed, AbortSignal.timeout(operationMs)]);
  return {
    schema,
    document,
    operationName: operationName ?? null,
    variableValues: variables ?? null,
    contextValue: gate.contextOf(session, signal),
  };
}

function asGraphqlError(error: unknown): GraphQLError {
  return new GraphQLError('the operation was refused', { originalError: error as Error });
}

/** Clients send the token as the payload's `authorization`; browsers' tools copy a header's capital letter. */
function authorizationOf({ connectionParams }: Connection<Params, SocketState>) {
  const value = connectionParams?.authorization ?? connectionParams?.Authorization;
  return typeof value === 'string' ? value : undefined;
}

function refuse(socket: WebSocket, { message, extensions }: GraphQLFormattedError): void {
  const code = REFUSALS[String(extensions?.code)] ?? CLOSE.internalError;
  const reason = Buffer.from(message).subarray(0, MAX_REASON_BYTES).toString('latin1');
  socket.close(code, reason);
}

function openSocket(state: SocketState, protocol: Protocol, options: WebSocketOptions): void {
  const { logger, clock, gate } = options;
  const { socket } = state;
  const onClosed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (text) => send(socket, text, gate.protection.limits.socketQueueBytes),
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

/** Resolves once the text is on its way: until then the next event of a subscription is not asked for. */
function send(socket: WebSocket, text: string, queueBytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // a client that reads too little is cut off and resumes from its cursor
    if (socket.bufferedAmount > queueBytes) socket.terminate();
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
