// The training queue and its worker, over either backend. Jobs carry ids only and read the newest state when they start.
// Knows nothing of runs, datasets or trainers.

import { type IQueueBackend, type Job, UnrecoverableError } from 'bullmq';
import type { Database } from '../src/db/database.ts';
import { PATIENT, type Patience } from '../src/lib/redis-client.ts';
import { openRedisBackend, openSqlBackend, type QueueBackend } from './queue-backend.ts';

const QUEUE_NAME = 'train-adapter';

/** A job whose worker has been silent this long counts as lost and goes to another worker, who looks a few times meanwhile. */
const LEASE_MS = 30_000;
const CHECKS_PER_LEASE = 3;

/** Tries per job when the world fails (a trainer killed, a full disk). */
const ATTEMPTS = 3;
const BACKOFF_MS = 1_000;

/** One training job: who and which mode, nothing else. */
export interface TrainJob {
  readonly userId: string;
  readonly mode: string;
}

/** What a processor learns of the attempt besides its payload. */
export interface Attempt {
  /** True when BullMQ will not try again after this attempt fails. */
  readonly isLast: boolean;
}

/** Runs one job. Throws to have it tried again; throws `GiveUp` when trying again cannot help. */
export type Processor = (payload: unknown, attempt: Attempt) => Promise<void>;

/** An error that no second try can mend. */
export class GiveUp extends UnrecoverableError {}

/** The training queue. */
export interface TrainQueue {
  /** Runs the job after `delayMs`. At most one job per (user, mode) waits and one runs: asking while one waits changes
   *  nothing, except that a delay of 0 makes it due now; asking while one runs leaves exactly one to run after it. */
  enqueue(job: TrainJob, delayMs: number): Promise<void>;
  /** Forgets every job: for the embedded queue at start, when no worker can be alive and SQL knows what is due. */
  clear(): Promise<void>;
  /** Lets no worker take another job until `resume`; what runs goes on, and jobs are taken in as before. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts taking jobs, `concurrency` at a time. Rejects when its connection fails while it begins. */
  work(processor: Processor, options: WorkOptions): Promise<TrainWorker>;
  close(): Promise<void>;
}

/** How a worker runs. */
export interface WorkOptions {
  readonly concurrency: number;
  /** How long a job stays with a worker that is silent (standard: half a minute). */
  readonly leaseMs?: number | undefined;
  /** Told of failures of the queue itself; the worker goes on. */
  onError(error: unknown): void;
  /** Told why an attempt at a job failed. */
  onFailed?(error: unknown): void;
}

/** A running worker. */
export interface TrainWorker {
  /** Takes no more jobs and resolves when the running ones have ended. */
  close(): Promise<void>;
}

/** Where a queue is kept. */
export interface QueueOptions {
  readonly database: Database;
  readonly redisUrl?: string | undefined;
  /** Another queue than that of all training jobs. */
  readonly name?: string;
  /** With Redis. */
  readonly patience?: Patience;
  onError(error: unknown): void;
}

/** Opens the queue on Redis when there is a URL, else on the SQL database. */
export async function openQueue(options: QueueOptions): Promise<TrainQueue> {
  const { database, redisUrl, onError, patience = PATIENT } = options;
  return redisUrl === undefined
    ? queueOn(await openSqlBackend(database), options)
    : queueOn(await openRedisBackend(redisUrl, onError, patience), options);
}

async function queueOn<B extends IQueueBackend, C>(
  backend: QueueBackend<B, C>,
  { name = QUEUE_NAME, onError }: QueueOptions,
): Promise<TrainQueue> {
  const { classes, connection } = backend;
  const queue = new classes.Queue<TrainJob>(name, { connection });
  queue.on('error', onError);
  // a queue whose beginning fails never works: better that nothing starts
  await queue.waitUntilReady();
  return {
    enqueue: async (job, delayMs) => {
      await queue.add(name, job, jobOptions(job, delayMs));
    },
    clear: () => queue.obliterate({ force: true }),
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    work: async (processor, workOptions) => {
      const { leaseMs = LEASE_MS } = workOptions;
      const worker = new classes.Worker<TrainJob>(name, (job) => process(processor, job), {
        connection,
        concurrency: workOptions.concurrency,
        lockDuration: leaseMs,
        stalledInterval: Math.ceil(leaseMs / CHECKS_PER_LEASE),
      });
      worker.on('error', workOptions.onError);
      worker.on('failed', (_, error) => workOptions.onFailed?.(error));
      try {
        // as with the queue: its beginning is not tried again
        await worker.waitUntilReady();
      } catch (error) {
        await worker.close(true);
        throw error;
      }
      return { close: () => worker.close() };
    },
    close: async () => {
      await queue.close();
      await backend.close();
    },
  };
}

function process(processor: Processor, job: Job<TrainJob>): Promise<void> {
  return processor(job.data, { isLast: job.attemptsMade + 1 >= ATTEMPTS });
}

function jobOptions(job: TrainJob, delayMs: number) {
  return {
    delay: delayMs,
    attempts: ATTEMPTS,
    backoff: { type: 'exponential', delay: BACKOFF_MS },
    removeOnComplete: true,
    removeOnFail: true,
    deduplication: {
      id: `${job.userId}:${job.mode}`,
      keepLastIfActive: true,
      // Without a delay the asker wants it now: pull a waiting job forward instead of joining its debounce.
      reschedule: delayMs === 0,
    },
  };
}
