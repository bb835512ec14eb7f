// What those who run a deployment ask of the database: which runs wait or failed, who the users are.

import { sql } from 'kysely';
import { queueRuns } from '../changes/queue-run.ts';
import type { Db } from '../db/database.ts';
import type { RunStatus } from '../db/schema.ts';

/** Rows of one listing. */
const MAX_ROWS = 100;

/** A run as a line: ids, codes and times, nothing that a user wrote. */
export interface RunLine {
  readonly id: string;
  readonly userId: string;
  readonly mode: string;
  readonly status: RunStatus;
  readonly attempt: number;
  readonly queuedAt: Date;
}

/** The newest runs of these statuses, 100 at most. */
export function listRuns(db: Db, statuses: readonly RunStatus[]): Promise<RunLine[]> {
  return db
    .selectFrom('runs')
    .select(['id', 'userId', 'mode', 'status', 'attempt', 'queuedAt'])
    .where('status', 'in', statuses)
    .orderBy('seq', 'desc')
    .limit(MAX_ROWS)
    .execute();
}

/** How many runs are being trained. */
export async function countRunning(db: Db): Promise<number> {
  const { count } = await db
    .selectFrom('runs')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('status', '=', 'RUNNING')
    .executeTakeFirstOrThrow();
  return count;
}

/** Queues a run for every (user, mode) whose newest run failed; returns how many. */
export async function retryFailedRuns(db: Db, now: Date): Promise<number> {
  const failed = await db
    .selectFrom('runs')
    .distinctOn(['userId', 'mode'])
    .select(['userId', 'mode', 'status'])
    .orderBy('userId')
    .orderBy('mode')
    .orderBy('seq', 'desc')
    .execute();
  const due = failed.filter(({ status }) => status === 'FAILED');
  for (const { userId, mode } of due) await queueRuns(db, userId, [mode], { now, forced: true });
  return due.length;
}

/** A user as a line. */
export interface UserLine {
  readonly subject: string;
  readonly devices: number;
  readonly records: number;
  readonly liveAdapters: number;
}

/** The newest users, 100 at most. */
export async function listUsers(db: Db): Promise<UserLine[]> {
  const { rows } = await sql<UserLine>`
    select subject,
      (select count(*) from devices where user_id = users.id) as devices,
      (select count(*) from records where user_id = users.id and not deleted) as records,
      (select count(*) from adapters where user_id = users.id and status = 'LIVE') as live_adapters
    from users order by created_at desc limit ${MAX_ROWS}`.execute(db);
  return rows;
}
