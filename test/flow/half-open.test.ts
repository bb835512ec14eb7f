// Connections that stay open and carry nothing, between every two parts of a deployment: each is given up in time, and what
// was meant for it goes on over another one. Clocks are fast and patience is short here.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openQueue, type TrainQueue } from '../../jobs/queue.ts';
import { openS3Blobs } from '../../src/blobs/s3-blobs.ts';
import { parseS3Url } from '../../src/blobs/s3-url.ts';
import { isConnectionLost } from '../../src/db/connection-lost.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { openPostgresWakeups } from '../../src/db/postgres-wakeups.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { newRedisClient } from '../../src/lib/redis-client.ts';
import { openRedisRateCounters } from '../../src/lib/redis-rate-counter.ts';
import { openRedisWakeups } from '../../src/lib/redis-wakeups.ts';
import type { Wakeups } from '../../src/lib/wakeups.ts';
import { openRateLimits, RATES } from '../../src/transport/rate-limits.ts';
import { fastClock } from '../support/clocks/fast-clock.ts';
import { deferred } from '../support/deferred.ts';
import { type FaultProxy, startFaultProxy } from '../support/faults/fault-proxy.ts';
import { canLayCables, layCable } from '../support/faults/network-namespace.ts';
import { QUEUE_PATIENCE } from '../support/faults/queue-patience.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { S3_ACCESS, startS3Server } from '../support/servers/s3-server.ts';

/** Half a minute is a second and a half. */
const TIMES = 20;
const BRIEF = { pingMs: 100, silenceMs: 700 };
const ignore = () => undefined;

const opened: { close(): Promise<unknown> | undefined }[] = [];
let proxy: FaultProxy;

/** Closes the part after the test. */
function keep<T extends { close(): Promise<unknown> | undefined }>(part: T): T {
  opened.push(part);
  return part;
}

/** A network to a server, which `goSilent` takes away from every connection that is used meanwhile. */
async function networkTo(url: string): Promise<string> {
  proxy = keep(await startFaultProxy(url));
  return proxy.url;
}

/** Uses connections while they carry nothing, then lets new ones carry something. */
async function whileSilent<T>(use: () => Promise<T>): Promise<T> {
  proxy.set({ kind: 'half-open' });
  try {
    return await use();
  } finally {
    proxy.set({ kind: 'none' });
  }
}

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

describe.skipIf(!shouldRunWith('postgres'))('PostgreSQL behind a silent network', () => {
  const open = (databaseUrl: string) =>
    openDatabase({ dataDir: '/nowhere', databaseUrl, clock: fastClock(TIMES) });
  const openKept = async (url: string) => keep(await open(url));

  it('fails the statements that wait for it, as a lost connection, and serves the next ones', async () => {
    const { kysely } = await openKept(await networkTo(await newPostgresUrl()));
    const one = () => sql`select 1`.execute(kysely);
    await Promise.all([one(), one(), one()]);
    const failures = await whileSilent(() => Promise.allSettled([one(), one(), one()]));
    for (const failure of failures) {
      if (failure.status === 'fulfilled') throw new Error('nothing can have come through');
      expect(isConnectionLost(failure.reason)).toBe(true);
    }
    expect((await one()).rows).toHaveLength(1);
  });

  it('fails a transaction that it breaks in two, which leaves nothing behind and locks nothing', async () => {
    const url = await newPostgresUrl();
    const [far, near] = [await openKept(await networkTo(url)), await openKept(url)];
    const key = randomUUID();
    const write = (database: Database) =>
      database.kysely
        .insertInto('facts')
        .values({ key, value: 'x' })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: 'y' }))
        .execute();
    const transaction = far.kysely.transaction().execute(async (tx) => {
      await tx.insertInto('facts').values({ key, value: 'x' }).execute();
      await whileSilent(() => sql`select 1`.execute(tx));
    });
    await expect(transaction).rejects.toSatisfy(isConnectionLost);
    await write(near);
    const facts = near.kysely.selectFrom('facts').select('value').where('key', '=', key);
    expect(await facts.execute()).toEqual([{ value: 'x' }]);
  });

  it('has its locks back from a process that has stopped in a transaction', async () => {
    const { kysely } = await openKept(await newPostgresUrl());
    const { rows } = await sql`show idle_in_transaction_session_timeout`.execute(kysely);
    expect(rows).toEqual([{ idleInTransactionSessionTimeout: '15s' }]);
  });

  it('wakes late whom it should have woken', async () => {
    const url = await newPostgresUrl();
    const { pool } = await openKept(url);
    const clock = fastClock(TIMES);
    const listener = { pool, databaseUrl: await networkTo(url) };
    await wakesLate(keep(await openPostgresWakeups(listener, ignore, clock)));
  });

  it('gives a trainer its jobs', async () => {
    const url = await newPostgresUrl();
    const [near, far] = [await openKept(url), await openKept(await networkTo(url))];
    await trainsLater({
      queue: keep(await openQueue({ database: near, onError: ignore })),
      trainer: keep(await openQueue({ database: far, onError: ignore })),
    });
  });
});

describe.skipIf(!shouldRunWith('redis-server'))('Redis behind a silent network', () => {
  const openOn = async (url: string, patience = BRIEF) => {
    const name = `silent-${randomUUID()}`;
    // nothing is asked of it
    const database = null as never;
    const options = { database, name, onError: ignore, patience };
    return {
      far: keep(await openQueue({ ...options, redisUrl: await networkTo(url) })),
      near: keep(await openQueue({ ...options, redisUrl: url })),
    };
  };

  it('wakes late whom it should have woken', async () => {
    const url = await networkTo(await redisUrl());
    await wakesLate(keep(await openRedisWakeups(url, ignore, BRIEF)));
  });

  it('counts no rates meanwhile, and holds nobody up', async () => {
    const url = await networkTo(await redisUrl());
    const counters = keep(await openRedisRateCounters(url, ignore));
    const limits = openRateLimits(
      { ...RATES, user: { points: 10, seconds: 60 } },
      counters.makeCounter,
    );
    const user = randomUUID();
    await limits.spend('user', user, 6);
    await whileSilent(() => limits.spend('user', user, 6));
    await expect(limits.spend('user', user, 6)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });

  it('fails what a server puts into the queue, and takes it later', async () => {
    const { far, near } = await openOn(await redisUrl());
    const job = { userId: randomUUID(), mode: 'subject' };
    await expect(whileSilent(() => far.enqueue(job, 0))).rejects.toThrow();
    // the relay, too, asks again
    await expect.poll(() => far.enqueue(job, 0).then(() => 'taken', String)).toBe('taken');
    const arrived = deferred();
    const worker = await near.work(() => Promise.resolve(arrived.resolve()), {
      ...{ concurrency: 1, onError: ignore },
    });
    await arrived.promise;
    await worker.close();
  });

  // a worker whose connection broke then took no job ever after, and nobody heard of it
  it('fails a trainer that begins meanwhile, and lets it begin later', async () => {
    const { far, near } = await openOn(await redisUrl());
    const jobs: unknown[] = [];
    const begin = () =>
      far.work(async (given) => void jobs.push(given), { concurrency: 1, onError: ignore });
    await expect(whileSilent(begin)).rejects.toThrow();
    const job = { userId: randomUUID(), mode: 'subject' };
    await near.enqueue(job, 0);
    const worker = await begin();
    await expect.poll(() => jobs).toEqual([job]);
    await worker.close();
  });

  it('gives a trainer its jobs', async () => {
    const { far, near } = await openOn(await redisUrl(), QUEUE_PATIENCE);
    await trainsLater({ queue: near, trainer: far });
  });
});

// the same where packets really vanish, which takes a system that lets this process make a network
describe.skipIf(!canLayCables())('a cable that is pulled', () => {
  it.skipIf(!shouldRunWith('postgres'))('is noticed by connections to PostgreSQL', async () => {
    const cable = keep(await layCable(await newPostgresUrl()));
    const clock = fastClock(TIMES);
    const { kysely } = keep(
      await openDatabase({ dataDir: '/nowhere', databaseUrl: cable.url, clock }),
    );
    const one = () => sql`select 1`.execute(kysely);
    await one();
    cable.pull();
    await expect(one()).rejects.toSatisfy(isConnectionLost);
    cable.plug();
    const answer = () => one().then(({ rows }) => rows.length, String);
    await expect.poll(answer).toBe(1);
  });

  it.skipIf(!shouldRunWith('redis-server'))('is noticed by connections to Redis', async () => {
    const cable = keep(await layCable(await redisUrl()));
    const client = newRedisClient(cable.url, ignore, BRIEF);
    await client.connect();
    cable.pull();
    await expect(client.set('a', '1')).rejects.toThrow();
    cable.plug();
    await expect.poll(() => client.set('a', '2').catch(String)).toBe('OK');
    client.destroy();
  });
});

describe('a bucket behind a silent network', () => {
  it('takes a file at the second try', async () => {
    for (const [name, value] of Object.entries(S3_ACCESS)) vi.stubEnv(name, value);
    const server = keep(await startS3Server());
    const place = must(parseS3Url(server.url), 'the URL of a bucket');
    const endpoint = await networkTo(must(place.endpoint, 'a server of our own'));
    const blobs = openS3Blobs({ ...place, endpoint }, 300);
    const folder = await mkdtemp(join(tmpdir(), 'attune-silent-'));
    try {
      const file = join(folder, 'file');
      await writeFile(file, 'what was put');
      proxy.set({ kind: 'half-open' });
      const putting = blobs.put('name', file);
      await expect.poll(() => proxy.connections).toBeGreaterThan(0);
      proxy.set({ kind: 'none' });
      await putting;
      expect(server.objects.size).toBe(1);
    } finally {
      blobs.close();
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true });
    }
  });
});

/** A follower whose connection carries nothing looks again once there is a new one. */
async function wakesLate(wakeups: Wakeups): Promise<void> {
  const ticks = wakeups.follow('a');
  await ticks.next();
  const before = proxy.connections;
  await whileSilent(async () => {
    await expect.poll(() => proxy.connections).toBeGreaterThan(before);
  });
  await ticks.next();
}

/** A trainer gets a job that was put in while its connections carried nothing. */
async function trainsLater({ queue, trainer }: Record<'queue' | 'trainer', TrainQueue>) {
  const jobs: unknown[] = [];
  const worker = await trainer.work(
    (job) => {
      jobs.push(job);
      return Promise.resolve();
    },
    { concurrency: 1, onError: ignore },
  );
  const [first, second] = [1, 2].map((i) => ({ userId: randomUUID(), mode: `mode-${i}` }));
  await queue.enqueue(must(first, 'a job'), 0);
  await expect.poll(() => jobs).toEqual([first]);
  proxy.set({ kind: 'half-open' });
  await queue.enqueue(must(second, 'a job'), 0);
  await systemClock.sleep(200);
  proxy.set({ kind: 'none' });
  await expect.poll(() => jobs).toEqual([first, second]);
  await worker.close();
}
