// A TCP proxy that misbehaves as networks do, between a client and the server it thinks it talks to.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../../src/lib/clock.ts';

/** What befalls bytes in either direction. */
export type Fault =
  | { readonly kind: 'none' }
  /** Every piece arrives so much later. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** The connection ends after so many bytes of either direction. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The connection is reset at the next byte. */
  | { readonly kind: 'reset' }
  /** Connections in use meanwhile stay open, and nothing ever passes them again. */
  | { readonly kind: 'half-open' }
  /** Few bytes at a time pass. */
  | { readonly kind: 'drip'; readonly bytes: number }
  /** What a client sends arrives twice, on connections of its own; the second answer is dropped. */
  | { readonly kind: 'duplicate' }
  /** New connections are closed at once. */
  | { readonly kind: 'refuse' };

/** A proxy in front of one server. */
export interface FaultProxy {
  /** The server's URL by way of the proxy. */
  readonly url: string;
  /** From now on, for old and new connections. */
  set(fault: Fault): void;
  /** Bytes that have passed from the server to clients, heads included. */
  readonly answeredBytes: number;
  /** Connections that clients have made so far. */
  readonly connections: number;
  /** Ends every connection there is. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts a proxy in front of the server that the URL names. */
export async function startFaultProxy(serverUrl: string): Promise<FaultProxy> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let fault: Fault = { kind: 'none' };
  let answeredBytes = 0;
  let connections = 0;
  const adopt = (socket: Socket) => {
    sockets.add(socket);
    // an end of either side ends both, whichever way it came
    socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    adopt(client);
    connections += 1;
    if (fault.kind === 'refuse') return client.destroy();
    const upstream = adopt(connect(Number(target.port), target.hostname));
    const twin =
      fault.kind === 'duplicate' ? adopt(connect(Number(target.port), target.hostname)) : null;
    twin?.resume();
    const asked = (piece: Buffer) => void twin?.write(piece);
    const answered = (piece: Buffer) => {
      answeredBytes += piece.length;
    };
    let isSilent = false;
    const faultNow = (): Fault => {
      // what has passed nothing for a while passes nothing later: no network leaves a gap in a stream
      isSilent ||= fault.kind === 'half-open';
      return isSilent ? { kind: 'half-open' } : fault;
    };
    const pipes = [
      pump(client, upstream, { faultNow, onPiece: asked }),
      pump(upstream, client, { faultNow, onPiece: answered }),
    ];
    void Promise.all(pipes);
    return undefined;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    set: (next) => {
      fault = next;
    },
    get answeredBytes() {
      return answeredBytes;
    },
    get connections() {
      return connections;
    },
    cut,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}

/** Passes bytes from one socket to the other, as the fault of the moment has it. */
async function pump(
  from: Socket,
  to: Socket,
  { faultNow, onPiece }: { faultNow: () => Fault; onPiece: (piece: Buffer) => void },
): Promise<void> {
  let passed = 0;
  try {
    for await (const piece of from) {
      passed += piece.length;
      onPiece(piece);
      if (!(await pass(piece, to, { fault: faultNow(), passed }))) break;
    }
  } catch {
    // a broken socket ends the connection like any other end
  }
  from.destroy();
  to.destroy();
}

/** Writes a piece; false when the connection is to end. */
async function pass(
  piece: Buffer,
  to: Socket,
  { fault, passed }: { fault: Fault; passed: number },
): Promise<boolean> {
  if (fault.kind === 'half-open') return true;
  if (fault.kind === 'reset') {
    to.resetAndDestroy();
    return false;
  }
  if (fault.kind === 'cut' && passed > fault.afterBytes) {
    to.write(piece.subarray(0, piece.length - (passed - fault.afterBytes)));
    return false;
  }
  if (fault.kind === 'latency') await systemClock.sleep(fault.ms);
  const step = fault.kind === 'drip' ? fault.bytes : piece.length;
  for (let at = 0; at < piece.length; at += step) {
    if (!to.write(piece.subarray(at, at + step))) await once(to, 'drain');
    if (fault.kind === 'drip') await systemClock.sleep(1);
  }
  return true;
}
