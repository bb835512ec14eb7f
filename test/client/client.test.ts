import { afterEach, describe, expect, it } from 'vitest';
import { type AttuneClient, type ClientOptions, openClient } from '../../src/client/client.ts';
import { backoffMs } from '../../src/client/sync/backoff.ts';
import type { DeviceState } from '../../src/client/sync/device-state.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { deferred } from '../support/deferred.ts';
import { OracleServer } from './oracle/oracle-server.ts';
import { MemoryDisk } from './storage/memory-disk.ts';
import { changeNamed, endlessClock } from './test-device.ts';

describe('a client', () => {
  const open: AttuneClient[] = [];
  afterEach(async () => {
    for (const client of open.splice(0)) await client.close();
  });

  const setUp = async (
    rest: Partial<ClientOptions> = {},
    disk = new MemoryDisk(),
    onError: (error: Error | null) => unknown = () => 0,
  ) => {
    const server = new OracleServer();
    const states: DeviceState[] = [];
    const waiters: { state: DeviceState; resolve: () => void }[] = [];
    const client = await openClient({
      url: 'http://oracle',
      fetch: server.fetch,
      token: () => Promise.resolve('token'),
      storage: disk.open(),
      name: 'Phone',
      platform: 'test',
      webSocket: null,
      clock: endlessClock,
      random: () => 1,
      ...rest,
      onState: (state, error) => {
        states.push(state);
        onError(error);
        for (const waiter of waiters) if (waiter.state === state) waiter.resolve();
      },
    });
    open.push(client);
    /** Resolves when the client next enters the state. */
    const next = (state: DeviceState) => {
      const { promise, resolve } = deferred();
      waiters.push({ state, resolve });
      return promise;
    };
    const reach = (state: DeviceState) =>
      client.state === state ? Promise.resolve() : next(state);
    return { server, client, states, next, reach, disk };
  };

  it('pushes what it is given as soon as it is given', async () => {
    const { server, client, next, reach } = await setUp();
    await reach('live');
    const live = next('live');
    await client.push([changeNamed('a')]);
    await live;
    expect(server.applied.map(({ recordId }) => recordId)).toEqual(['a']);
    expect(await client.pendingCount()).toBe(0);
  });

  it('gives the installed adapter and its bytes', async () => {
    const { server, client, next, reach } = await setUp();
    await reach('live');
    expect(await client.adapter('subject')).toBeNull();
    server.publish('subject', 'tensors');
    const live = next('live');
    await client.resume();
    await client.push([]);
    await live;
    const adapter = await client.adapter('subject');
    expect(adapter).toMatchObject({ id: 'adapter 1', version: 1 });
    expect(Buffer.from((await adapter?.read('adapter.bin')) ?? []).toString()).toBe('tensors');
    await expect(adapter?.read('other')).rejects.toThrow('no file other');
  });

  it('keeps its name from start to start', async () => {
    const first = await setUp();
    const { deviceId } = first.client;
    const second = await setUp({}, first.disk);
    expect(second.client.deviceId).toBe(deviceId);
  });

  it('is silent while it is paused, and keeps what it is given', async () => {
    const { server, client, next, reach } = await setUp();
    await reach('live');
    client.pause();
    await client.push([changeNamed('a')]);
    expect(client.state).toBe('paused');
    expect(server.applied).toEqual([]);
    const live = next('live');
    await client.resume();
    await live;
    expect(server.applied).toHaveLength(1);
  });

  it.each([
    ['paused', [], (client: AttuneClient) => client.pause()],
    ['waiting', ['lost-request'], (client: AttuneClient) => client.push([])],
  ] as const)(
    'takes a deleted record off the disk also while it is %s (DEV-31)',
    async (state, faults, leave) => {
      const { server, client, reach, disk } = await setUp();
      await reach('live');
      const deletion = { ...changeNamed('a', 'diary'), kind: 'DELETE' as const };
      await client.push([changeNamed('a', 'diary')]);
      await reach('live');
      server.faults.push(...faults);
      await leave(client);
      await reach(state);
      await client.push([deletion]);
      await expect.poll(() => disk.remains).toEqual([]);
      expect([client.state, disk.state.has('record/diary/a')]).toEqual([state, false]);
    },
  );

  it('waits longer with each failure, and as long as the server asks (DEV-10)', async () => {
    const waits: number[] = [];
    const clock = {
      ...endlessClock,
      sleep: (ms: number, signal?: AbortSignal) => {
        // the longest wait for an answer, and the time between two looks
        if (ms === 30_000 || ms === 60_000) return endlessClock.sleep(ms, signal);
        waits.push(ms);
        return systemClock.sleep(0, signal);
      },
    };
    const server = new OracleServer();
    server.faults.push('lost-request', 'lost-request', 'busy', 'lost-request');
    const { reach } = await setUp({ clock, fetch: server.fetch });
    await reach('live');
    expect(waits).toEqual([500, 1000, 2000, 4000]);
  });

  it('is back at once when the app says so', async () => {
    const server = new OracleServer();
    server.faults.push('lost-request');
    const { client, reach } = await setUp({ fetch: server.fetch });
    await reach('waiting');
    await client.resume();
    await reach('live');
  });

  it('looks for news every minute where there is no socket', async () => {
    const clock = handClock(0);
    const { server, client, next, reach } = await setUp({ clock });
    await reach('live');
    server.publish('subject', 'tensors');
    const live = next('live');
    await clock.advance(60_000);
    await live;
    expect(await client.adapter('subject')).toMatchObject({ version: 1 });
  });

  it('asks the app for a fresh token once, and stops when that is refused as well (DEV-12)', async () => {
    const server = new OracleServer();
    let good = 'second';
    const asked: (string | null)[] = [];
    const { client, reach } = await setUp({
      fetch: (url, init) => {
        const authorization = new Headers(init?.headers).get('authorization');
        if (authorization === `Bearer ${good}`) return server.fetch(url, init);
        return Promise.resolve(new Response('{"errors":[]}', { status: 401 }));
      },
      token: (refused) => {
        asked.push(refused);
        return Promise.resolve(asked.length === 1 ? 'first' : 'second');
      },
    });
    await reach('live');
    expect(asked).toEqual([null, 'first']);
    good = 'third';
    await client.push([changeNamed('a')]);
    await reach('signed-out');
    expect(asked).toEqual([null, 'first', 'second']);
    expect(await client.pendingCount()).toBe(1);
  });

  it('stops when the server turns it away, says why, and asks for another token when the app says to go on (DEV-23)', async () => {
    const server = new OracleServer();
    let asked = 0;
    let isRevoked = true;
    const tokens: (string | null)[] = [];
    const errors: (Error | null)[] = [];
    const { client, reach, next } = await setUp(
      {
        fetch: (url, init) => {
          asked += 1;
          if (!isRevoked) return server.fetch(url, init);
          const error = { message: 'revoked', extensions: { code: 'FORBIDDEN' } };
          return Promise.resolve(Response.json({ errors: [error] }, { status: 403 }));
        },
        token: (refused) => {
          tokens.push(refused);
          return Promise.resolve('token');
        },
      },
      new MemoryDisk(),
      (error) => errors.push(error),
    );
    await reach('signed-out');
    expect(errors.at(-1)).toMatchObject({
      name: 'ApiError',
      code: 'FORBIDDEN',
      isRetryable: false,
    });
    await client.push([changeNamed('a')]);
    expect([asked, client.state, await client.pendingCount()]).toEqual([1, 'signed-out', 1]);
    isRevoked = false;
    const live = next('live');
    await client.resume();
    await live;
    expect(tokens).toEqual([null, null]);
    expect(server.applied).toHaveLength(1);
  });

  it('removes all that is its user’s when it is told that it was revoked (DEV-29)', async () => {
    let isRevoked = false;
    const oracle = new OracleServer();
    const { client, reach, next, disk } = await setUp({
      fetch: (url, init) => {
        if (!isRevoked) return oracle.fetch(url, init);
        const extensions = { code: 'FORBIDDEN', reason: 'DEVICE_REVOKED' };
        return Promise.resolve(Response.json({ errors: [{ extensions }] }, { status: 403 }));
      },
    });
    oracle.publish('subject', 'tensors');
    await reach('live');
    isRevoked = true;
    const refused = next('signed-out');
    await client.push([changeNamed('a')]);
    await refused;
    expect([await client.pendingCount(), await client.adapter('subject')]).toEqual([0, null]);
    expect([...disk.state.keys()].sort()).toEqual(['keys', 'modes']);
    expect([...disk.content]).toEqual([]);
  });

  it('waits as long as a proxy asks that knows nothing of us (DEV-10)', async () => {
    const server = new OracleServer();
    const waits: number[] = [];
    let isBusy = true;
    const { reach } = await setUp({
      fetch: (url, init) => {
        if (!isBusy) return server.fetch(url, init);
        isBusy = false;
        const headers = { 'retry-after': '7' };
        return Promise.resolve(new Response('slow down', { status: 429, headers }));
      },
      clock: {
        ...endlessClock,
        sleep: (ms, signal) => {
          if (ms === 30_000 || ms === 60_000) return endlessClock.sleep(ms, signal);
          waits.push(ms);
          return systemClock.sleep(0, signal);
        },
      },
    });
    await reach('live');
    expect(waits).toEqual([7000]);
  });

  it('ends with the disk, and says so when it is closed', async () => {
    const disk = new MemoryDisk();
    const storage = disk.open({ afterSteps: 8, whole: false });
    const { client, reach } = await setUp({ storage }, disk);
    open.splice(open.indexOf(client), 1);
    await reach('closed');
    await expect(client.close()).rejects.toThrow(expect.objectContaining({ name: 'Crash' }));
  });
});

it('never waits longer than five minutes, nor shorter than half of its turn (DEV-10)', () => {
  expect(backoffMs(1, 0, () => 0)).toBe(250);
  expect(backoffMs(1, 0, () => 1)).toBe(500);
  expect(backoffMs(5, 0, () => 0.5)).toBe(6000);
  expect(backoffMs(500, 0, () => 1)).toBe(300_000);
  expect(backoffMs(1, 9000, () => 0)).toBe(9000);
});
