// One open WebSocket: what is known of it, how it is ended, how text goes out on it.

import { WebSocket } from 'ws';
import type { Session } from './admission.ts';
import type { Limits } from './limits.ts';

/** Close codes of the protocol, and of WebSocket itself (RFC 6455). */
export const CLOSE = {
  goingAway: 1001,
  tooLarge: 1009,
  badRequest: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  tooMany: 4429,
  internalError: 4500,
} as const;

/** A close frame has room for this many bytes of reason. */
const MAX_REASON_BYTES = 123;

/** What we know of one open socket. */
export interface SocketState {
  readonly socket: WebSocket;
  readonly address: string;
  /** Aborts when nothing on the socket is waited for any more. */
  readonly closed: AbortController;
  session: Session | null;
  /** When it is closed since its user was erased: milliseconds since the Unix epoch. */
  endsAt: number | null;
  /** Milliseconds since the Unix epoch. */
  nextPingAt: number;
  /** Whether the last ping was answered. */
  isAlive: boolean;
  /** How many messages wait until the client has taken those before them. */
  unsentCount: number;
}

/** Closes the socket and ends its operations at once: its client may never answer the close frame. */
export function endSocket({ socket, closed }: SocketState, code: number, reason: string): void {
  const bytes = Buffer.from(reason).subarray(0, MAX_REASON_BYTES);
  // first of all nothing more is sent: a subscription that ends here has not ended for its client
  socket.close(code, bytes.toString('latin1'));
  closed.abort();
}

/** What may wait for a client. */
type QueueLimits = Pick<Limits, 'socketQueueBytes' | 'socketQueueMessages'>;

/** Resolves once the text is on its way: until then the next event of a subscription is not asked for. */
export function send(state: SocketState, text: string, limits: QueueLimits): Promise<void> {
  return enqueue(state, limits, (sent) => state.socket.send(text, sent));
}

/** Answers a ping of WebSocket itself, as part of the same queue. */
export function pong(state: SocketState, payload: Buffer, limits: QueueLimits): Promise<void> {
  return enqueue(state, limits, (sent) => state.socket.pong(payload, false, sent));
}

function enqueue(
  state: SocketState,
  { socketQueueBytes, socketQueueMessages }: QueueLimits,
  put: (sent: (error?: Error | null) => void) => void,
): Promise<void> {
  const { socket } = state;
  return new Promise((resolve, reject) => {
    const isFull =
      socket.bufferedAmount > socketQueueBytes || state.unsentCount >= socketQueueMessages;
    // a client that reads too little is cut off and resumes from its cursor
    if (isFull) socket.terminate();
    // what is meant for a client that has left is not missed by anybody
    if (socket.readyState !== WebSocket.OPEN) return resolve();
    state.unsentCount += 1;
    put((error) => {
      state.unsentCount -= 1;
      if (error && socket.readyState === WebSocket.OPEN) reject(error);
      else resolve();
    });
  });
}
