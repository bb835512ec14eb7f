import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  GiveUp,
  openQueue,
  type Processor,
  type TrainJob,
  type TrainQueue,
} from '../../jobs/queue.ts';
import type { Database } from '../../src/db/database.ts';
import { deferred } from '../support/deferred.ts';
import {
  describeEachDatabase,
  describeWithDatabase,
  redisUrl,
} from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

describeEachDatabase('the training queue on SQL', (database) => {
  queueContract(database, async () => undefined);
});

describe.skipIf(!shouldRunWith('redis-server'))('on Redis', () => {
  describeWithDatabase('the training queue', (database) => {
    queueContract(database, redisUrl);
  });
});

function queueContract(database: () => Database, url: () => Promise<string | undefined>): void {
  let queue: TrainQueue;
  beforeAll(async () => {
    queue = await openQueue({ database: database(), redisUrl: await url(), onError: fail });
  });
  afterAll(() => queue.close());

  test('a job carries its ids to the processor', async () => {
    const job = newJob();
    await using worker = await collect(queue);
    await queue.enqueue(job, 0);
    await expect.poll(() => worker.jobs).toEqual([job]);
  });

  test('jobs of the same user and mode that wait become one', async () => {
    const job = newJob();
    await queue.enqueue(job, 50);
    await queue.enqueue(job, 50);
    await using worker = await collect(queue);
    await settled(queue, worker);
    expect(worker.jobs.filter(({ userId }) => userId === job.userId)).toEqual([job]);
  });

  test('a job without a delay pulls the waiting one forward', async () => {
    const job = newJob();
    await queue.enqueue(job, 3_600_000);
    await queue.enqueue(job, 0);
    await using worker = await collect(queue);
    await expect.poll(() => worker.jobs).toEqual([job]);
  });

  test('nothing is taken while the queue is paused, and nothing of it is lost', async () => {
    const [first, second] = [newJob(), newJob()];
    await queue.pause();
    await using worker = await collect(queue);
    await queue.enqueue(first, 0);
    await queue.enqueue(second, 0);
    expect(worker.jobs).toEqual([]);
    await queue.resume();
    await expect.poll(() => worker.jobs).toHaveLength(2);
    expect(worker.jobs).toEqual(expect.arrayContaining([first, second]));
  });

  test('asking while a job runs leaves exactly one to run after it', async () => {
    const job = newJob();
    const isRunning = deferred();
    const mayEnd = deferred();
    await using worker = await collect(queue, async () => {
      isRunning.resolve();
      await mayEnd.promise;
    });
    await queue.enqueue(job, 0);
    await isRunning.promise;
    await queue.enqueue(job, 0);
    await queue.enqueue(job, 0);
    expect(worker.jobs).toEqual([job]);
    mayEnd.resolve();
    await expect.poll(() => worker.jobs.length).toBe(2);
    await settled(queue, worker);
    expect(worker.jobs.filter(({ userId }) => userId === job.userId)).toEqual([job, job]);
  });

  test('as many jobs run at once as the worker was told', async () => {
    const mayEnd = deferred();
    let running = 0;
    let most = 0;
    const begun: unknown[] = [];
    const worker = await queue.work(
      async (payload) => {
        begun.push(payload);
        running += 1;
        most = Math.max(most, running);
        if (begun.length <= 2) await mayEnd.promise;
        running -= 1;
      },
      { concurrency: 2, onError: fail },
    );
    for (const job of [newJob(), newJob(), newJob()]) await queue.enqueue(job, 0);
    await expect.poll(() => begun.length).toBe(2);
    mayEnd.resolve();
    await expect.poll(() => begun.length).toBe(3);
    expect(most).toBe(2);
    await worker.close();
  });

  test('a failed job is tried three times, and the last try knows that it is the last', async () => {
    const job = newJob();
    const tries: boolean[] = [];
    const worker = await queue.work(
      (_, { isLast }) => {
        tries.push(isLast);
        return Promise.reject(new Error('the world'));
      },
      { concurrency: 1, onError: fail },
    );
    await queue.enqueue(job, 0);
    await expect.poll(() => tries).toEqual([false, false, true]);
    await worker.close();
  });

  test('a job that gives up is not tried again', async () => {
    const job = newJob();
    await using worker = await collect(queue, (given) =>
      given.userId === job.userId ? Promise.reject(new GiveUp('hopeless')) : Promise.resolve(),
    );
    await queue.enqueue(job, 0);
    await settled(queue, worker);
    expect(worker.jobs.filter(({ userId }) => userId === job.userId)).toEqual([job]);
  });

  test('a cleared queue runs nothing that was asked before', async () => {
    const job = newJob();
    await queue.enqueue(job, 50);
    await queue.clear();
    await using worker = await collect(queue);
    await settled(queue, worker);
    expect(worker.jobs).not.toContainEqual(job);
  });
}

function newJob(): TrainJob {
  return { userId: randomUUID(), mode: 'subject' };
}

function fail(error: Error): never {
  throw error;
}

/** A worker that remembers every job it was given. */
async function collect(
  queue: TrainQueue,
  work: (job: TrainJob) => Promise<void> = () => Promise.resolve(),
) {
  const jobs: TrainJob[] = [];
  const processor: Processor = async (payload) => {
    const job = payload as TrainJob;
    jobs.push(job);
    await work(job);
  };
  const worker = await queue.work(processor, { concurrency: 1, onError: fail });
  return { jobs, [Symbol.asyncDispose]: () => worker.close() };
}

/** Resolves when a job asked for now, behind all others that are due within 100 ms, has run. */
async function settled(queue: TrainQueue, worker: { jobs: readonly TrainJob[] }): Promise<void> {
  const last = newJob();
  await queue.enqueue(last, 100);
  await expect.poll(() => worker.jobs).toContainEqual(last);
}
