// What `trainingRuns` sends: the states of a user's runs as they change.

import type { Db } from '../db/database.ts';
import type { RunRow } from '../db/schema.ts';
import { runsTopic, type Wakeups } from '../lib/wakeups.ts';

/** The user's waiting and running runs, then every state that any of the user's runs goes through, each run's states in
 *  order. States that come and go between two looks are left out; a run's last state never is.
 *  `mode` null: runs of every mode. Ends when the signal aborts. */
export async function* followRuns(
  deps: { db: Db; wakeups: Wakeups },
  userId: string,
  mode: string | null,
  signal: AbortSignal,
): AsyncIterableIterator<RunRow> {
  const open = new Map<string, string>();
  let newest = await newestSeq(deps.db, userId);
  for await (const _ of deps.wakeups.follow(runsTopic(userId), signal)) {
    const runs = await readRuns(deps.db, userId, { newest, open: [...open.keys()] });
    for (const run of runs) {
      const state = stateOf(run);
      const isNews = open.get(run.id) !== state;
      if (isOver(run)) open.delete(run.id);
      else open.set(run.id, state);
      newest = Math.max(newest, run.seq);
      if (isNews && (mode === null || run.mode === mode)) yield run;
    }
  }
}

/** Every run up to here that is not open has ended before: queueing holds the user's lock, so runs of one user become
 *  visible in the order of their seq. */
async function newestSeq(db: Db, userId: string): Promise<number> {
  const row = await db
    .selectFrom('runs')
    .select(({ fn }) => fn.max('seq').as('seq'))
    .where('userId', '=', userId)
    .executeTakeFirst();
  return row?.seq ?? 0;
}

function readRuns(
  db: Db,
  userId: string,
  since: { newest: number; open: readonly string[] },
): Promise<RunRow[]> {
  return db
    .selectFrom('runs')
    .selectAll()
    .where('userId', '=', userId)
    .where(({ or, eb }) =>
      or([
        eb('seq', '>', since.newest),
        eb('status', 'in', ['QUEUED', 'RUNNING']),
        ...(since.open.length > 0 ? [eb('id', 'in', since.open)] : []),
      ]),
    )
    .orderBy('seq')
    .execute();
}

function stateOf({ status, attempt, step, totalSteps }: RunRow): string {
  return `${status} ${attempt} ${step}/${totalSteps}`;
}

function isOver({ status }: RunRow): boolean {
  return status !== 'QUEUED' && status !== 'RUNNING';
}
