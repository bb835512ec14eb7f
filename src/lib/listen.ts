import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StartError } from './start-error.ts';

/** Where to listen. */
export interface Address {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Throws StartError when a server could not listen there now. */
export async function checkAddress(address: Address): Promise<void> {
  const server = createServer();
  await listen(server, address);
  await new Promise((resolve) => server.close(resolve));
}

/** Listens, or explains why it cannot. */
export function listen(server: HttpServer, { host, port }: Address): Promise<AddressInfo> {
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
export function urlOf(host: string, { port }: AddressInfo): string {
  const isAnywhere = host === '0.0.0.0' || host === '::';
  const name = isAnywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}
