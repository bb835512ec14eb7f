// The outbox relay: a change commits with its QUEUED run, and this carries the run to the queue. Enqueueing is
// idempotent (one waiting job per user and mode), so a crash between the two steps costs a repeat, never a loss.

import type { Kysely } from 'kysely';
import type { Database } from '../src/db/database.ts';
import type { DatabaseSchema } from '../src/db/schema.ts';
import { OUTBOX_TOPIC, type Wakeups } from '../src/lib/wakeups.ts';
import type { ModeCatalog } from '../src/modes/mode.ts';
import type { TrainQueue } from './queue.ts';

/** Runs carried per statement. */
const BATCH = 100;

/** What the relay works with. */
export interface RelayOptions {
  readonly database: Database;
  readonly queue: TrainQueue;
  readonly catalog: ModeCatalog;
  readonly wakeups: Wakeups;
}

/** Carries due runs to the queue at every wake-up until the signal aborts. */
export async function relayRuns(options: RelayOptions, signal: AbortSignal): Promise<void> {
  for await (const _ of options.wakeups.follow(OUTBOX_TOPIC, signal)) {
    await relayDueRuns(options);
  }
}

/** Carries every run that the queue has not been given yet; returns how many. */
export async function relayDueRuns(options: RelayOptions): Promise<number> {
  const db = options.database.kysely;
  let count = 0;
  for (;;) {
    const runs = await owedRuns(db);
    for (const run of runs) await relayRun(options, run);
    count += runs.length;
    if (runs.length < BATCH) return count;
  }
}

type OwedRun = {
  readonly id: string;
  readonly userId: string;
  readonly mode: string;
  readonly forced: boolean;
};

function owedRuns(db: Kysely<DatabaseSchema>): Promise<OwedRun[]> {
  return db
    .selectFrom('runs')
    .select(['id', 'userId', 'mode', 'forced'])
    .where('status', '=', 'QUEUED')
    .where('enqueuedAt', 'is', null)
    .orderBy('seq')
    .limit(BATCH)
    .execute();
}

async function relayRun({ database, queue, catalog }: RelayOptions, run: OwedRun): Promise<void> {
  const delayMs = run.forced ? 0 : catalog.mode(run.mode).trigger.debounceMs;
  await queue.enqueue({ userId: run.userId, mode: run.mode }, delayMs);
  await database.kysely
    .updateTable('runs')
    .set({ enqueuedAt: new Date() })
    .where('id', '=', run.id)
    .where('status', '=', 'QUEUED')
    .execute();
}

/** At start: every waiting run is owed to the queue again, since what the queue held may be gone. */
export async function oweAllRuns(db: Kysely<DatabaseSchema>): Promise<void> {
  await db.updateTable('runs').set({ enqueuedAt: null }).where('status', '=', 'QUEUED').execute();
}
