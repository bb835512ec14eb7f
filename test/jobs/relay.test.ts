import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { TrainJob, TrainQueue } from '../../jobs/queue.ts';
import { relayDueRuns, relayRuns } from '../../jobs/relay.ts';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { OUTBOX_TOPIC, openLocalWakeups } from '../../src/lib/wakeups.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';
import { claimRun } from '../../src/runs/run.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const NOW = new Date('2026-01-01T00:00:00Z');

describeWithDatabase('the relay', (database) => {
  async function setUp() {
    const db = database().kysely;
    const user = await ensureUser(db, randomUUID(), NOW);
    const clock = handClock(NOW.getTime());
    const carried: (TrainJob & { delayMs: number })[] = [];
    const errors: unknown[] = [];
    const queue = recordingQueue(carried);
    const wakeups = openLocalWakeups();
    const mode = { key: 'subject', trigger: { debounceMs: 2000 } };
    const catalog = { modes: [mode], mode: () => mode } as unknown as ModeCatalog;
    const onError = (error: unknown) => errors.push(error);
    const options = { db, queue, catalog, wakeups, clock, onError };
    const mine = () => carried.filter(({ userId }) => userId === user.id);
    return { db, userId: user.id, options, mine, errors, clock };
  }

  test('carries a waiting run once, with its mode’s debounce', async () => {
    const { db, userId, options, mine } = await setUp();
    await queueRuns(db, userId, ['subject'], { now: NOW });
    await relayDueRuns(options);
    await relayDueRuns(options);
    expect(mine()).toEqual([{ userId, mode: 'subject', delayMs: 2000 }]);
  });

  test('carries a forced run without a delay, also when the run already waited', async () => {
    const { db, userId, options, mine } = await setUp();
    await queueRuns(db, userId, ['subject'], { now: NOW });
    await relayDueRuns(options);
    await queueRuns(db, userId, ['subject'], { now: NOW, forced: true });
    await relayDueRuns(options);
    expect(mine().map(({ delayMs }) => delayMs)).toEqual([2000, 0]);
  });

  test('carries a run again when the queue failed, and says so', async () => {
    const { db, userId, options, mine, errors, clock } = await setUp();
    const failure = new Error('the queue is away');
    let isAway = true;
    const enqueue: TrainQueue['enqueue'] = (job, delayMs) =>
      isAway ? Promise.reject(failure) : options.queue.enqueue(job, delayMs);
    await queueRuns(db, userId, ['subject'], { now: NOW });
    const stop = new AbortController();
    const relay = relayRuns({ ...options, queue: { ...options.queue, enqueue } }, stop.signal);
    await expect.poll(() => errors).toContain(failure);
    expect(mine()).toEqual([]);
    isAway = false;
    await clock.advance(1_000);
    await expect.poll(mine).toHaveLength(1);
    stop.abort();
    await relay;
  });

  test('starts when the database is away, says so, and carries once it is back', async () => {
    const { db, userId, options, mine, errors, clock } = await setUp();
    const failure = new Error('the database is away');
    let isAway = true;
    const broken = new Proxy(db, {
      get: (target, name) => {
        if (isAway && name === 'updateTable') throw failure;
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await queueRuns(db, userId, ['subject'], { now: NOW });
    await relayDueRuns(options);
    clock.jump(1);
    const stop = new AbortController();
    const relay = relayRuns({ ...options, db: broken }, stop.signal);
    await expect.poll(() => errors).toEqual([failure]);
    expect(mine()).toHaveLength(1);
    isAway = false;
    await clock.advance(1_000);
    await expect.poll(mine).toHaveLength(2);
    stop.abort();
    await relay;
  });

  test('carries again what the queue was given before this start, and what it seems to have lost', async () => {
    const { db, userId, options, mine, clock } = await setUp();
    await queueRuns(db, userId, ['subject'], { now: NOW });
    await relayDueRuns(options);
    clock.jump(1);
    const stop = new AbortController();
    const relay = relayRuns(options, stop.signal);
    await expect.poll(mine).toHaveLength(2);
    clock.jump(61_000);
    await clock.advance(30_000);
    await expect.poll(mine).toHaveLength(3);
    stop.abort();
    await relay;
  });

  test('carries a run again whose trainer was lost along with its job', async () => {
    const { db, userId, options, mine, clock } = await setUp();
    await queueRuns(db, userId, ['subject'], { now: NOW });
    await claimRun(db, { userId, mode: 'subject' }, NOW);
    const stop = new AbortController();
    const relay = relayRuns(options, stop.signal);
    clock.jump(100_000);
    await clock.advance(30_000);
    await expect.poll(mine).toEqual([{ userId, mode: 'subject', delayMs: 0 }]);
    stop.abort();
    await relay;
  });

  test('leaves the runs of modes that this server does not have', async () => {
    const { db, userId, options, mine } = await setUp();
    await queueRuns(db, userId, ['subject', 'retired'], { now: NOW });
    await relayDueRuns(options);
    expect(mine().map(({ mode }) => mode)).toEqual(['subject']);
  });

  test('looks when it is woken', async () => {
    const { db, userId, options, mine } = await setUp();
    const stop = new AbortController();
    const relay = relayRuns(options, stop.signal);
    await queueRuns(db, userId, ['subject'], { now: NOW });
    options.wakeups.wake(OUTBOX_TOPIC);
    await expect.poll(mine).toHaveLength(1);
    stop.abort();
    await relay;
  });
});

function recordingQueue(carried: (TrainJob & { delayMs: number })[]): TrainQueue {
  return {
    enqueue: (job, delayMs) => {
      carried.push({ ...job, delayMs });
      return Promise.resolve();
    },
    clear: () => Promise.resolve(),
    pause: () => Promise.resolve(),
    resume: () => Promise.resolve(),
    work: () => Promise.resolve({ close: () => Promise.resolve() }),
    close: () => Promise.resolve(),
  };
}
