// What a device does when its socket is closed: a server that ends each connection as it is told, and an app that gives tokens.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type AttuneClient, openClient } from '../../../src/client/client.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { deferred } from '../../support/deferred.ts';
import { OracleServer } from '../oracle/oracle-server.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { changeNamed } from '../test-device.ts';

/** How a connection ends: before it is let in, or after it was. */
type Ending = { readonly refused: number } | { readonly closed: number } | 'completed' | 'stays';

/** Ends connections as the list says, and then lets them stay. */
class Sockets {
  readonly #server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: () => 'graphql-transport-ws',
  });
  readonly tokens: string[] = [];
  readonly #staying = deferred();

  constructor(endings: readonly Ending[]) {
    const left = [...endings];
    this.#server.on('connection', (socket) => {
      const ending = left.shift() ?? 'stays';
      socket.on('message', (data) => this.#answer(socket, ending, JSON.parse(String(data))));
    });
  }

  #answer(
    socket: WebSocket,
    ending: Ending,
    message: { id?: string; type: string; payload?: { authorization?: string } },
  ): void {
    if (message.type === 'connection_init') {
      this.tokens.push(message.payload?.authorization ?? '');
      if (typeof ending === 'object' && 'refused' in ending) socket.close(ending.refused);
      else socket.send(JSON.stringify({ type: 'connection_ack' }));
    }
    if (message.type !== 'subscribe') return;
    if (ending === 'stays') this.#staying.resolve();
    else if (ending === 'completed')
      socket.send(JSON.stringify({ id: message.id, type: 'complete' }));
    else if ('closed' in ending) socket.close(ending.closed);
  }

  /** Resolves when a connection stays. */
  get staying(): Promise<void> {
    return this.#staying.promise;
  }

  async url(): Promise<string> {
    if (this.#server.address() === null) await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('a device whose socket is closed', () => {
  let server: OracleServer;
  let sockets: Sockets;
  let client: AttuneClient;
  const waits: number[] = [];
  const refused: (string | null)[] = [];
  beforeEach(() => {
    server = new OracleServer();
    waits.splice(0);
    refused.splice(0);
  });
  afterEach(async () => {
    await client.close();
    await sockets.close();
  });

  const open = async (endings: readonly Ending[]) => {
    sockets = new Sockets(endings);
    let tokens = 0;
    client = await openClient({
      url: await sockets.url(),
      fetch: server.fetch,
      token: (token) => {
        refused.push(token);
        tokens += 1;
        return Promise.resolve(`token ${tokens}`);
      },
      storage: new MemoryDisk().open(),
      name: 'Phone',
      platform: 'test',
      webSocket: WebSocket,
      random: () => 1,
      clock: {
        now: () => 0,
        sleep: (ms, signal) => {
          // the longest wait for an answer
          if (ms === 30_000) return systemClock.sleep(ms, signal);
          waits.push(ms);
          return systemClock.sleep(0, signal);
        },
      },
    });
  };

  it.each([1000, 1001, 1011, 1013, 4400, 4406, 4408, 4409, 4500, 4999])(
    'with %i connects again, later each time, and looks for what it missed (DEV-21)',
    async (code) => {
      await open([{ closed: code }, { refused: code }, { closed: code }]);
      await sockets.staying;
      expect(waits).toEqual([500, 1000, 2000]);
      expect(refused).toEqual([null]);
      expect(new Set(sockets.tokens)).toEqual(new Set(['Bearer token 1']));
      expect(client.state).not.toBe('waiting');
    },
  );

  it('connects again when the subscription ends, as it does after ResyncRequired (DEV-21)', async () => {
    await open(['completed']);
    await sockets.staying;
    expect(waits).toEqual([500]);
  });

  it.each([4401, 4403])(
    'with %i asks the app for a fresh token, once each time, and connects with it (DEV-22)',
    async (code) => {
      await open([{ closed: code }, { refused: code }]);
      await sockets.staying;
      expect(refused).toEqual([null, 'token 1', 'token 2']);
      expect(sockets.tokens).toEqual(['Bearer token 1', 'Bearer token 2', 'Bearer token 3']);
      expect(waits).toEqual([500, 1000]);
    },
  );

  it('with 4429 waits at least a second (DEV-21)', async () => {
    await open([{ refused: 4429 }]);
    await sockets.staying;
    expect(waits).toEqual([1000]);
  });

  it('goes on by HTTP where no socket is ever let in, and tries less and less often (DEV-21)', async () => {
    await open(Array.from({ length: 12 }, () => ({ refused: 1006 + 3000 })));
    await client.push([changeNamed('a')]);
    await sockets.staying;
    expect(server.applied.map(({ recordId }) => recordId)).toEqual(['a']);
    expect(waits.slice(-3)).toEqual([256_000, 300_000, 300_000]);
  });
});
