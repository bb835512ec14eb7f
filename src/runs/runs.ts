// A user's runs as the API reads them, and `retrain`. Every query is scoped to the user.

import { queueRuns } from '../changes/queue-run.ts';
import type { Db } from '../db/database.ts';
import { type Page, type PageArgs, page } from '../db/page.ts';
import type { RunRow } from '../db/schema.ts';
import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError, must } from '../lib/errors.ts';
import { OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { Mode } from '../modes/mode.ts';

/** The user's runs with these ids, in any order. */
export function runsById(db: Db, userId: string, ids: readonly string[]): Promise<RunRow[]> {
  return db
    .selectFrom('runs')
    .selectAll()
    .where('userId', '=', userId)
    .where('id', 'in', ids)
    .execute();
}

/** One page of the user's runs of a mode, newest first. */
export function pageRuns(
  db: Db,
  userId: string,
  mode: string,
  args: PageArgs,
): Promise<Page<RunRow>> {
  const runs = db
    .selectFrom('runs')
    .selectAll()
    .where('userId', '=', userId)
    .where('mode', '=', mode);
  return page(runs, { column: 'seq', order: 'desc' }, args);
}

/** Asks for a rebuild now, whatever the mode's trigger says; returns the waiting run.
 *  Throws BAD_INPUT for a mode that only devices train. */
export async function retrain(
  deps: { db: Db; clock: Clock; wakeups: Wakeups },
  userId: string,
  { key: mode, trainsOn }: Pick<Mode, 'key' | 'trainsOn'>,
): Promise<RunRow> {
  if (trainsOn === 'device')
    throw new AppError('BAD_INPUT', `The mode ${mode} is trained by devices only.`);
  const run = await deps.db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    await queueRuns(tx, userId, [mode], { now: new Date(deps.clock.now()), forced: true });
    return tx
      .selectFrom('runs')
      .selectAll()
      .where('userId', '=', userId)
      .where('mode', '=', mode)
      .where('status', '=', 'QUEUED')
      .executeTakeFirst();
  });
  deps.wakeups.wake(OUTBOX_TOPIC);
  deps.wakeups.wake(runsTopic(userId));
  return must(run, 'a run waits right after it was queued');
}
