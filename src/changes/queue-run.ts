import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { DatabaseSchema } from '../db/schema.ts';
import { currentTrace } from '../lib/trace.ts';

/** Asks for a training run in the caller's transaction: one waiting run per (user, mode), so a second ask joins the
 *  first. The row is the outbox entry: after the commit, wake the relay. `forced` (a `retrain`) sticks to the waiting run. */
export async function queueRuns(
  tx: Kysely<DatabaseSchema>,
  userId: string,
  modes: readonly string[],
  options: { now: Date; forced?: boolean },
): Promise<void> {
  if (modes.length === 0) return;
  const rows = modes.map((mode) => ({
    id: randomUUID(),
    userId,
    mode,
    status: 'QUEUED' as const,
    forced: options.forced ?? false,
    losses: '[]',
    queuedAt: options.now,
    trace: currentTrace(),
  }));
  const insert = tx.insertInto('runs').values(rows);
  await insert
    .onConflict((conflict) => {
      const waiting = conflict.columns(['userId', 'mode']).where('status', '=', 'QUEUED');
      return options.forced
        ? waiting.doUpdateSet({ forced: true, enqueuedAt: null })
        : waiting.doNothing();
    })
    .execute();
}
