import { afterEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { openPostgresWakeups } from '../../src/db/postgres-wakeups.ts';
import { openRedisWakeups } from '../../src/lib/redis-wakeups.ts';
import { openLocalWakeups, type Wakeups } from '../../src/lib/wakeups.ts';
import { type FaultProxy, startFaultProxy } from '../support/faults/fault-proxy.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

const tick = { done: false, value: undefined };
const end = { done: true, value: undefined };

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

/** Closes the part after the test. */
function keep<T extends { close(): Promise<unknown> }>(part: T): T {
  opened.push(part);
  return part;
}

describe('wakeups within a process', () => {
  contract(() => Promise.resolve(openLocalWakeups()));
});

describe.skipIf(!shouldRunWith('redis-server'))('wakeups over Redis', () => {
  contract(async () => openOnRedis(await redisUrl()));
  acrossProcesses(redisUrl, openOnRedis);
});

describe.skipIf(!shouldRunWith('postgres'))('wakeups over PostgreSQL', () => {
  contract(async () => openOnPostgres(await newPostgresUrl()));
  acrossProcesses(newPostgresUrl, openOnPostgres);
});

async function openOnRedis(url: string): Promise<Wakeups> {
  return keep(await openRedisWakeups(url, () => undefined));
}

async function openOnPostgres(databaseUrl: string): Promise<Wakeups> {
  const { pool } = keep(await openDatabase({ dataDir: '', databaseUrl }));
  return keep(await openPostgresWakeups({ pool, databaseUrl }, () => undefined));
}

function contract(open: () => Promise<Wakeups>): void {
  it('ticks at once, so that what happened before is looked at', async () => {
    const ticks = (await open()).follow('a');
    expect(await ticks.next()).toEqual(tick);
  });

  it('ticks after a wake, whether the follower waits already or not', async () => {
    const wakeups = await open();
    const ticks = wakeups.follow('a');
    await ticks.next();
    const waiting = ticks.next();
    wakeups.wake('a');
    expect(await waiting).toEqual(tick);
    wakeups.wake('a');
    expect(await ticks.next()).toEqual(tick);
  });

  it('makes one tick of many wakes, and none of those of other topics', async () => {
    const wakeups = await open();
    const stop = new AbortController();
    const ticks = wakeups.follow('a', stop.signal);
    await ticks.next();
    for (const topic of ['a', 'a', 'b', 'a']) wakeups.wake(topic);
    expect(await ticks.next()).toEqual(tick);
    wakeups.wake('b');
    const waiting = ticks.next();
    stop.abort();
    expect(await waiting).toEqual(end);
  });

  it('wakes every follower of a topic', async () => {
    const wakeups = await open();
    const followers = [wakeups.follow('a'), wakeups.follow('a')];
    for (const ticks of followers) await ticks.next();
    wakeups.wake('a');
    expect(await Promise.all(followers.map((ticks) => ticks.next()))).toEqual([tick, tick]);
  });

  it.each(['abort', 'return', 'close'])('ends on %s, waiting or not', async (way) => {
    const wakeups = await open();
    const stop = new AbortController();
    const ticks = wakeups.follow('a', stop.signal);
    await ticks.next();
    const waiting = ticks.next();
    if (way === 'abort') stop.abort();
    if (way === 'return') await ticks.return?.();
    if (way === 'close') await wakeups.close();
    expect(await waiting).toEqual(end);
    wakeups.wake('a');
    expect(await ticks.next()).toEqual(end);
  });

  it('follows nothing with a signal that aborted already, nor after closing', async () => {
    const wakeups = await open();
    expect(await wakeups.follow('a', AbortSignal.abort()).next()).toEqual(end);
    await wakeups.close();
    expect(await wakeups.follow('a').next()).toEqual(end);
  });
}

/** What holds between two processes that share a server, the second one by way of a network with faults. */
function acrossProcesses(
  serverUrl: () => Promise<string>,
  open: (url: string) => Promise<Wakeups>,
): void {
  async function twoProcesses(): Promise<{ near: Wakeups; far: Wakeups; network: FaultProxy }> {
    const url = await serverUrl();
    const network = keep(await startFaultProxy(url));
    return { network, near: await open(url), far: await open(network.url) };
  }

  it('wakes followers in the other process', async () => {
    const { near, far } = await twoProcesses();
    await listening(near, far);
    const ticks = far.follow('a');
    await ticks.next();
    const waiting = ticks.next();
    near.wake('a');
    expect(await waiting).toEqual(tick);
  });

  it('delays what was said while the connection was lost until it is back, either way', async () => {
    const { near, far, network } = await twoProcesses();
    await listening(near, far);
    await listening(far, near);
    const [nearTicks, farTicks] = [near.follow('a'), far.follow('b')];
    await Promise.all([nearTicks.next(), farTicks.next()]);
    network.set({ kind: 'refuse' });
    network.cut();
    const [nearWaits, farWaits] = [nearTicks.next(), farTicks.next()];
    far.wake('a');
    near.wake('b');
    network.set({ kind: 'none' });
    expect(await Promise.all([nearWaits, farWaits])).toEqual([tick, tick]);
  });

  it('finds its way through a network that drips and lags', async () => {
    const { near, far, network } = await twoProcesses();
    await listening(far, near);
    const ticks = near.follow('a');
    await ticks.next();
    for (const fault of [
      { kind: 'drip', bytes: 3 } as const,
      { kind: 'latency', ms: 20 } as const,
    ]) {
      network.set(fault);
      const waiting = ticks.next();
      far.wake('a');
      expect(await waiting).toEqual(tick);
    }
  });
}

/** Resolves when a wake of one process has reached the other. */
async function listening(from: Wakeups, to: Wakeups): Promise<void> {
  const ticks = to.follow('listening');
  await ticks.next();
  let hasTicked = false;
  const waiting = ticks.next().then(() => {
    hasTicked = true;
  });
  await expect
    .poll(() => {
      from.wake('listening');
      return hasTicked;
    })
    .toBe(true);
  await waiting;
  await ticks.return?.();
}
