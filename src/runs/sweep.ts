import { sql } from 'kysely';
import type { Db } from '../db/database.ts';

/** For a start at which no worker can be alive (the embedded server holds the data folder's lock): a RUNNING run waits
 *  again, or is cancelled where a newer one already waits, which is then a rebuild if the older one was. Without this a killed server's runs would wait for the
 *  queue's lock to expire. */
export async function requeueOrphans(db: Db, now: Date): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx
      .updateTable('runs')
      .set({ forced: true })
      .where('status', '=', 'QUEUED')
      .where(
        sql<boolean>`exists (select from runs as orphan where orphan.status = 'RUNNING' and orphan.forced
          and orphan.user_id = runs.user_id and orphan.mode = runs.mode)`,
      )
      .execute();
    await tx
      .updateTable('runs')
      .set({
        status: 'CANCELLED',
        reason: 'the server stopped; a newer run waits',
        finishedAt: now,
      })
      .where('status', '=', 'RUNNING')
      .where(
        sql<boolean>`exists (select from runs as waiting where waiting.status = 'QUEUED'
          and waiting.user_id = runs.user_id and waiting.mode = runs.mode)`,
      )
      .execute();
    await tx
      .updateTable('runs')
      .set({ status: 'QUEUED', enqueuedAt: null, startedAt: null })
      .where('status', '=', 'RUNNING')
      .execute();
  });
}
