import { type Kysely, sql } from 'kysely';
import type { DatabaseSchema } from '../db/schema.ts';
import { sqlArray } from '../db/sql-array.ts';
import { currentTrace } from '../lib/trace.ts';

/** Asks for a training run in the caller's transaction: one waiting run per (user, mode), so a second ask joins the
 *  first. The row is the outbox entry: after the commit, wake the relay. `forced` (a `retrain`) sticks to the waiting run. */
export async function queueRuns(
  tx: Kysely<DatabaseSchema>,
  userId: string,
  modes: readonly string[],
  { now, forced = false }: { now: Date; forced?: boolean },
): Promise<void> {
  if (modes.length === 0) return;
  await sql`select queue_runs(
    ${userId}, ${sqlArray('text', modes)}, ${forced}, ${now}, ${currentTrace()})`.execute(tx);
}
