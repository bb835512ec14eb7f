import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { clientAddress } from '../../src/transport/client-address.ts';

const from = (remoteAddress: string, forwarded?: string) =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as unknown as IncomingMessage;

describe("a client's address", () => {
  it('is where the connection comes from', () => {
    expect(clientAddress(from('192.0.2.1'), 0)).toBe('192.0.2.1');
    expect(clientAddress(from('::ffff:192.0.2.1'), 0)).toBe('192.0.2.1');
  });

  it('is not what the client says, without proxies of our own', () => {
    expect(clientAddress(from('192.0.2.1', '198.51.100.7'), 0)).toBe('192.0.2.1');
  });

  it('is what the outermost of our proxies was called from, whatever was written before', () => {
    const request = from('10.0.0.1', '203.0.113.9, 198.51.100.7, 10.0.0.2');
    expect(clientAddress(request, 1)).toBe('10.0.0.2');
    expect(clientAddress(request, 2)).toBe('198.51.100.7');
    expect(clientAddress(from('10.0.0.1'), 2)).toBe('10.0.0.1');
  });

  it('is a network where it is of version 6', () => {
    const network = '2001:db8:0:1::/64';
    expect(clientAddress(from('2001:db8:0:1:2:3:4:5'), 0)).toBe(network);
    expect(clientAddress(from('2001:db8:0:1::5'), 0)).toBe(network);
    expect(clientAddress(from('::1'), 0)).toBe('0:0:0:0::/64');
  });
});
