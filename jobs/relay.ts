// The outbox relay: a change commits with its QUEUED run, and this carries the run to the queue. Enqueueing is
// idempotent (one waiting job per user and mode), so a crash between the two steps costs a repeat, never a loss.

import type { ExpressionBuilder } from 'kysely';
import type { Db } from '../src/db/database.ts';
import type { DatabaseSchema } from '../src/db/schema.ts';
import { type Clock, rest } from '../src/lib/clock.ts';
import { traced } from '../src/lib/trace.ts';
import { OUTBOX_TOPIC, type Wakeups } from '../src/lib/wakeups.ts';
import type { ModeCatalog } from '../src/modes/mode.ts';
import type { TrainQueue } from './queue.ts';

/** Runs carried per statement. */
const BATCH = 100;

/** How often runs that the queue may have lost (a flushed Redis) are carried again. */
const SWEEP_MS = 30_000;

/** How long a run may wait in the queue before the sweep carries it again; a repeat is harmless. */
const OVERDUE_MS = 60_000;

/** A run that has been going on for longer than most do is put into the queue again, in case the queue lost its job along
 *  with its trainer. While its trainer lives, the queue holds the repeat back until it is done, and then nothing is due. */
const LONG_RUN_MS = 120_000;

/** Clocks of servers differ by no more than this. */
const CLOCK_SKEW_MS = 60_000;

/** How long the relay rests after a failure before it tries again. */
const RETRY_MS = 1_000;

/** What the relay works with. */
export interface RelayOptions {
  readonly db: Db;
  readonly queue: TrainQueue;
  readonly catalog: ModeCatalog;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Told of failures of the database or the queue; the relay tries again. */
  onError(error: unknown): void;
}

/** Carries due runs to the queue at every wake-up, and again after a while in case they were lost there, until the
 *  signal aborts. */
export async function relayRuns(options: RelayOptions, signal: AbortSignal): Promise<void> {
  await Promise.all([carry(options, signal), sweep(options, signal)]);
}

async function carry(options: RelayOptions, signal: AbortSignal): Promise<void> {
  for await (const _ of options.wakeups.follow(OUTBOX_TOPIC, signal)) {
    try {
      await relayDueRuns(options);
    } catch (error) {
      options.onError(error);
      if (!(await rest(options.clock, RETRY_MS, signal))) return;
      options.wakeups.wake(OUTBOX_TOPIC);
    }
  }
}

/** At first, whatever waits may have been lost before this server started. */
async function sweep(options: RelayOptions, signal: AbortSignal): Promise<void> {
  const { clock, db, wakeups } = options;
  let overdueMs = 0;
  let pauseMs = RETRY_MS;
  do {
    try {
      await oweRuns(db, clock.now(), overdueMs);
      await rescueRuns(options);
      overdueMs = OVERDUE_MS;
      pauseMs = SWEEP_MS;
    } catch (error) {
      options.onError(error);
    }
    wakeups.wake(OUTBOX_TOPIC);
  } while (await rest(clock, pauseMs, signal));
}

/** Carries every run that the queue has not been given yet; returns how many. */
export async function relayDueRuns(options: RelayOptions): Promise<number> {
  let count = 0;
  for (;;) {
    const runs = await owedRuns(options);
    for (const run of runs) {
      const { id: runId, trace: parent } = run;
      await traced('enqueue', { ids: { runId }, parent }, () => relayRun(options, run));
    }
    count += runs.length;
    if (runs.length < BATCH) return count;
  }
}

type OwedRun = {
  readonly id: string;
  readonly userId: string;
  readonly mode: string;
  readonly forced: boolean;
  readonly trace: string | null;
};

/** Runs of modes that this server does not have wait until one comes that does. */
async function owedRuns({ db, catalog }: RelayOptions): Promise<OwedRun[]> {
  if (catalog.modes.length === 0) return [];
  return await db
    .selectFrom('runs')
    .select(['id', 'userId', 'mode', 'forced', 'trace'])
    .where('status', '=', 'QUEUED')
    .where('enqueuedAt', 'is', null)
    .where(
      'mode',
      'in',
      catalog.modes.map(({ key }) => key),
    )
    .orderBy('seq')
    .limit(BATCH)
    .execute();
}

async function relayRun({ db, queue, catalog, clock }: RelayOptions, run: OwedRun): Promise<void> {
  const delayMs = run.forced ? 0 : catalog.mode(run.mode).trigger.debounceMs;
  await queue.enqueue({ userId: run.userId, mode: run.mode }, delayMs);
  await db
    .updateTable('runs')
    .set({ enqueuedAt: new Date(clock.now()) })
    .where('id', '=', run.id)
    .where('status', '=', 'QUEUED')
    // asked for at once meanwhile: still owed
    .where('forced', '=', run.forced)
    .execute();
}

/** Owes the queue every waiting run that it was given longer ago than this: it may have lost them. */
async function oweRuns(db: Db, now: number, afterMs: number): Promise<void> {
  await db
    .updateTable('runs')
    .set({ enqueuedAt: null })
    .where('status', '=', 'QUEUED')
    .where(isLongAgo('enqueuedAt', now, afterMs))
    .execute();
}

/** Whether a time is so long past, or yet to come: then the clock was set back, and nobody knows how long it is past. */
function isLongAgo(column: 'enqueuedAt' | 'startedAt', now: number, afterMs: number) {
  return (eb: ExpressionBuilder<DatabaseSchema, 'runs'>) =>
    eb.or([
      eb(column, '<', new Date(now - afterMs)),
      eb(column, '>', new Date(now + CLOCK_SKEW_MS)),
    ]);
}

/** Puts every long run into the queue again: a trainer that died with its job leaves it RUNNING for ever otherwise. */
async function rescueRuns({ db, queue, clock }: RelayOptions): Promise<void> {
  const runs = await db
    .selectFrom('runs')
    .select(['userId', 'mode'])
    .where('status', '=', 'RUNNING')
    .where(isLongAgo('startedAt', clock.now(), LONG_RUN_MS))
    .execute();
  for (const run of runs) await queue.enqueue(run, 0);
}
