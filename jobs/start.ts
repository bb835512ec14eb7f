// Everything that works in the background of a server: the relay from the outbox to the queue, and the training worker.

import type { Database } from '../src/db/database.ts';
import type { Patience } from '../src/lib/redis-client.ts';
import type { RunDeps } from '../src/runs/run-training.ts';
import { removeScratch } from '../src/runs/scratch.ts';
import { requeueOrphans } from '../src/runs/sweep.ts';
import { openQueue } from './queue.ts';
import { relayRuns } from './relay.ts';
import { trainAdapter } from './train-adapter.ts';

/** The shares of the work: any number of processes may relay, and any number may train. */
export interface JobShares {
  /** Carries waiting runs to the queue. */
  readonly relays: boolean;
  /** Takes them from there. */
  readonly trains: boolean;
}

/** How the jobs run. */
export interface JobOptions extends JobShares {
  readonly database: Database;
  readonly redisUrl?: string | undefined;
  /** With Redis. */
  readonly patience?: Patience;
  /** Runs that train at the same time. */
  readonly concurrency: number;
  /** How long a run stays with a process that is silent (standard: half a minute). */
  readonly leaseMs?: number | undefined;
  readonly run: Omit<RunDeps, 'shutdown'>;
  /** Told of failures of the queue or the relay; both go on. */
  onError(error: unknown): void;
  /** Told why a run's attempt failed; what becomes of the run is in SQL. */
  onFailed?(error: unknown): void;
}

/** The running jobs. */
export interface Jobs {
  /** Stops the trainers, whose runs wait again, and resolves when nothing runs any more. */
  close(): Promise<void>;
}

/** Sweeps what an earlier server left behind, then starts this process's share of the work. */
export async function startJobs(options: JobOptions): Promise<Jobs> {
  const { database, redisUrl, run, onError, onFailed = () => undefined } = options;
  const queue = await openQueue(options);
  // PGlite belongs to this process alone, so no other worker can hold a job
  if (database.kind === 'pglite') {
    await requeueOrphans(database.kysely, new Date(run.clock.now()));
    await removeScratch(run.workDir);
    if (redisUrl === undefined) await queue.clear();
  }
  const shutdown = new AbortController();
  const processor = trainAdapter({ ...run, shutdown: shutdown.signal });
  const { concurrency, leaseMs } = options;
  const work = { concurrency, leaseMs, onError, onFailed };
  const worker = options.trains ? await queue.work(processor, work) : null;
  const relay = options.relays && relayRuns({ ...run, queue, onError }, shutdown.signal);
  return {
    close: async () => {
      shutdown.abort(new Error('the server stops'));
      await Promise.all([worker?.close(), relay]);
      await queue.close();
    },
  };
}
