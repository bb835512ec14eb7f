// Which address a request came from, as far as it can be known.

import type { IncomingMessage } from 'node:http';
import type { Caller } from './admission.ts';

/** Who sent the request, and from where. */
export function callerOf(request: IncomingMessage, proxies: number): Caller {
  return {
    authorization: request.headers.authorization,
    address: clientAddress(request, proxies),
  };
}

/** The client's address, behind so many proxies of our own (each adds the one it was called from to the header). What
 *  lies further out anybody could have written. IPv6 addresses count by network: a client has a whole one. */
export function clientAddress(
  { socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>,
  proxies: number,
): string {
  const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
  const addresses = [
    socket.remoteAddress ?? '',
    ...forwarded
      .map((one) => one.trim())
      .filter((one) => one !== '')
      .reverse(),
  ];
  return networkOf(addresses[Math.min(proxies, addresses.length - 1)] ?? '');
}

function networkOf(address: string): string {
  const inner = address.replace(/^::ffff:(?=[\d.]+$)/i, '');
  if (!inner.includes(':')) return inner;
  const [start = '', end] = inner.split('::');
  const first = start.split(':').filter((group) => group !== '');
  const last = (end ?? '').split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return `${[...first, ...zeros, ...last].slice(0, 4).join(':')}::/64`;
}
