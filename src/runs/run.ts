// One training attempt as rows: claimed by one worker, reported on, and ended once.
// The attempt number is the fencing token: whoever claims a run raises it, and only the newest claim may write.

import { sql } from 'kysely';
import type { Db } from '../db/database.ts';
import type { RunRow } from '../db/schema.ts';
import { lockUser } from '../db/user-row.ts';

/** The right to work on a run; every write names it and does nothing once another claim was made. */
export interface Claim {
  readonly runId: string;
  readonly attempt: number;
  readonly userId: string;
  readonly mode: string;
  /** Asked for by `retrain`: an unchanged dataset is no reason to skip. */
  readonly forced: boolean;
  /** The trace of what asked for it. */
  readonly trace?: string | null;
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
    const replaced = orphans.filter(({ id }) => id !== claimed.id);
    await cancel(
      tx,
      replaced.map(({ id }) => id),
      now,
    );
    // a rebuild that was asked for is still owed when another run takes its place
    const forced = claimed.forced || replaced.some((run) => run.forced);
    return start(tx, { ...claimed, forced }, now);
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

const FROM_THE_START = {
  ...{ step: 0, totalSteps: 0, losses: '[]' },
  ...{ learningRate: null, tokensPerSecond: null, secondsLeft: null },
};

async function start(tx: Db, run: RunRow, now: Date): Promise<Claim> {
  const attempt = run.attempt + 1;
  await tx
    .updateTable('runs')
    .set({ status: 'RUNNING', attempt, startedAt: now, forced: run.forced, ...FROM_THE_START })
    .where('id', '=', run.id)
    .execute();
  const { id: runId, userId, mode, forced, trace } = run;
  return { runId, attempt, userId, mode, forced, trace };
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
  readonly learningRate: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
  /** Training loss so far, oldest first (nats per target token). */
  readonly losses: readonly number[];
}

/** Writes the progress; returns false once the claim is lost (cancelled, or claimed by another worker). */
export async function reportProgress(db: Db, claim: Claim, progress: Progress): Promise<boolean> {
  const { step, totalSteps, learningRate, tokensPerSecond, secondsLeft } = progress;
  const losses = JSON.stringify(progress.losses);
  const result = await held(db, claim)
    .set({ step, totalSteps, learningRate, tokensPerSecond, secondsLeft, losses })
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

/** Whether another run of the same (user, mode) waits. */
export async function isAnotherWaiting(db: Db, claim: Claim): Promise<boolean> {
  return (await waitingRun(db, claim)) !== undefined;
}

function waitingRun(db: Db, { userId, mode }: Claim) {
  return db
    .selectFrom('runs')
    .select('id')
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where('status', '=', 'QUEUED')
    .executeTakeFirst();
}

/** Why a run that gave way to newer data was cancelled. */
export const NEWER_DATA = 'NEWER_DATA';

/** How many runs of the (user, mode) gave way to newer data since one came to an end. */
export async function timesGivenWay(db: Db, { userId, mode }: Claim): Promise<number> {
  const runs = db.selectFrom('runs').where('userId', '=', userId).where('mode', '=', mode);
  const lastEnd = runs
    .where('status', 'in', ['PUBLISHED', 'REJECTED', 'SKIPPED', 'FAILED'])
    .select(({ fn }) => fn.coalesce(fn.max('seq'), sql<number>`0`).as('seq'));
  const { count } = await runs
    .where('status', '=', 'CANCELLED')
    .where('reason', '=', NEWER_DATA)
    .where('seq', '>', lastEnd)
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

/** Hands the run back to the queue: it waits again. Where a newer one already does, that one takes its place, a rebuild
 *  if this one is, and this one is CANCELLED with the reason. */
export async function handBack(
  db: Db,
  claim: Claim,
  now: Date,
  reason = 'a newer run waits',
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // as all who change a user's waiting run: else one could be queued between the look and the write
    await lockUser(tx, claim.userId);
    const waiting = await waitingRun(tx, claim);
    if (waiting === undefined) {
      await held(tx, claim).set({ status: 'QUEUED', enqueuedAt: null, startedAt: null }).execute();
      return;
    }
    const isCancelled = await endRun(tx, claim, { status: 'CANCELLED', reason, now });
    if (!isCancelled || !claim.forced) return;
    await tx.updateTable('runs').set({ forced: true }).where('id', '=', waiting.id).execute();
  });
}
