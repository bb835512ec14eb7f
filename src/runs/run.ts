// One training attempt as rows: claimed by one worker, reported on, and ended once.
// The attempt number is the fencing token: whoever claims a run raises it, and only the newest claim may write.

import type { Db } from '../db/database.ts';
import type { RunRow } from '../db/schema.ts';

/** The right to work on a run; every write names it and does nothing once another claim was made. */
export interface Claim {
  readonly runId: string;
  readonly attempt: number;
  readonly userId: string;
  readonly mode: string;
  /** Asked for by `retrain`: an unchanged dataset is no reason to skip. */
  readonly forced: boolean;
}

/** Claims what is due for (user, mode): the QUEUED run, or a RUNNING one whose worker is gone (the queue gives a key to
 *  one worker at a time). Null when nothing is due. */
export function claimRun(
  db: Db,
  key: { userId: string; mode: string },
  now: Date,
): Promise<Claim | null> {
  return db.transaction().execute(async (tx) => {
    const due = await dueRuns(tx, key);
    const orphans = due.filter(({ status }) => status === 'RUNNING');
    const claimed = due.find(({ status }) => status === 'QUEUED') ?? orphans.at(-1);
    if (claimed === undefined) return null;
    const replaced = orphans.filter(({ id }) => id !== claimed.id).map(({ id }) => id);
    await cancel(tx, replaced, now);
    return start(tx, claimed, now);
  });
}

function dueRuns(tx: Db, key: { userId: string; mode: string }): Promise<RunRow[]> {
  return tx
    .selectFrom('runs')
    .selectAll()
    .where('userId', '=', key.userId)
    .where('mode', '=', key.mode)
    .where('status', 'in', ['QUEUED', 'RUNNING'])
    .orderBy('seq')
    .forUpdate()
    .execute();
}

async function cancel(tx: Db, ids: readonly string[], now: Date): Promise<void> {
  if (ids.length === 0) return;
  const reason = 'its trainer was lost; a newer run replaces it';
  await tx
    .updateTable('runs')
    .set({ status: 'CANCELLED', reason, finishedAt: now })
    .where('id', 'in', ids)
    .execute();
}

async function start(tx: Db, run: RunRow, now: Date): Promise<Claim> {
  const attempt = run.attempt + 1;
  await tx
    .updateTable('runs')
    .set({ status: 'RUNNING', attempt, startedAt: now, step: 0, totalSteps: 0, losses: '[]' })
    .where('id', '=', run.id)
    .execute();
  return { runId: run.id, attempt, userId: run.userId, mode: run.mode, forced: run.forced };
}

/** The rows a claim may still write: RUNNING, and claimed by nobody since. */
function held(db: Db, claim: Claim) {
  return db
    .updateTable('runs')
    .where('id', '=', claim.runId)
    .where('status', '=', 'RUNNING')
    .where('attempt', '=', claim.attempt);
}

/** How far a run is. */
export interface Progress {
  readonly step: number;
  readonly totalSteps: number;
  /** Training loss so far, oldest first (nats per target token). */
  readonly losses: readonly number[];
}

/** Writes the progress; returns false once the claim is lost (cancelled, or claimed by another worker). */
export async function reportProgress(db: Db, claim: Claim, progress: Progress): Promise<boolean> {
  const result = await held(db, claim)
    .set({
      step: progress.step,
      totalSteps: progress.totalSteps,
      losses: JSON.stringify(progress.losses),
    })
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Whether the claim still stands. */
export async function isHeld(db: Db, claim: Claim): Promise<boolean> {
  const run = await db
    .selectFrom('runs')
    .select(['status', 'attempt'])
    .where('id', '=', claim.runId)
    .executeTakeFirst();
  return run?.status === 'RUNNING' && run.attempt === claim.attempt;
}

/** Ends the run with a reason, if the claim still stands; returns whether it did. */
export async function endRun(
  db: Db,
  claim: Claim,
  outcome: { status: 'SKIPPED' | 'FAILED' | 'CANCELLED'; reason: string; now: Date },
): Promise<boolean> {
  const result = await held(db, claim)
    .set({ status: outcome.status, reason: outcome.reason, finishedAt: outcome.now })
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Remembers which dataset the run trains on. */
export async function nameDataset(db: Db, claim: Claim, datasetId: string): Promise<void> {
  await held(db, claim).set({ datasetId }).execute();
}

/** Hands the run back to the queue (a shutdown): it waits again, unless a newer one already does. */
export async function handBack(db: Db, claim: Claim, now: Date): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const waiting = await tx
      .selectFrom('runs')
      .select('id')
      .where('userId', '=', claim.userId)
      .where('mode', '=', claim.mode)
      .where('status', '=', 'QUEUED')
      .forUpdate()
      .executeTakeFirst();
    if (waiting !== undefined) {
      await endRun(tx, claim, { status: 'CANCELLED', reason: 'a newer run waits', now });
      return;
    }
    await held(tx, claim).set({ status: 'QUEUED', enqueuedAt: null, startedAt: null }).execute();
  });
}
