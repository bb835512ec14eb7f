// The end of a training run: its candidate becomes the live adapter or a rejected one, in one transaction with the run.
// Fenced twice: by the claim (a worker that was thought dead must not win) and by the adapter that the gate compared with.

import type { Db, Tx } from '../db/database.ts';
import type { AdapterRow, Evaluation, RunStatus, StoredFile } from '../db/schema.ts';
import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { feedTopic, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { Lineage } from './lineage.ts';
import { makeLive } from './make-live.ts';
import { liveAdapter } from './registry.ts';

/** What publishing needs. */
export interface RegistryDeps {
  readonly db: Db;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Told of what a device's upload or a rollback made live, such as to warm the engine's cache. */
  readonly onLive?: (adapter: AdapterRow) => void;
}

/** The right to end a run. */
export interface RunClaim {
  readonly runId: string;
  readonly attempt: number;
  readonly userId: string;
  readonly mode: string;
}

/** What a run has trained. */
export interface Candidate {
  readonly sha256: string;
  readonly rank: number;
  readonly baseSha256: string;
  readonly datasetId: string;
  /** The dataset's changeSeq. */
  readonly dataThrough: number;
  /** The live adapter that the gate compared it with; null: none was live. */
  readonly parentId: string | null;
  /** The adapter whose weights it began from; null: from nothing. */
  readonly startedFromId: string | null;
  readonly lineage: Lineage;
  readonly onPolicyShare: number | null;
  readonly evaluation: Evaluation;
}

/** The run was cancelled, or claimed by another worker, since: nothing was written, and trying again cannot help. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

/** Another adapter is live than the one that the gate compared with, or its own bytes have gone with a version that was
 *  withdrawn meanwhile: nothing was written; train and compare again. */
export class LiveAdapterChanged extends Error {
  override readonly name = 'LiveAdapterChanged';
}

/** Publishes a candidate whose files are in the store: the run is PUBLISHED, the adapter live, the one before superseded
 *  and the feed tells of it, or none of that. `isStored` is asked while nobody can remove the files of the user's revoked
 *  adapters, which may be the very same bytes. Throws ClaimLost or LiveAdapterChanged. */
export async function publishAdapter(
  deps: RegistryDeps,
  claim: RunClaim,
  candidate: Candidate & { readonly files: readonly StoredFile[] },
  isStored: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<AdapterRow> {
  const { userId, mode } = claim;
  const now = new Date(deps.clock.now());
  const adapter = await deps.db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    const live = await liveAdapter(tx, userId, mode);
    const files = JSON.stringify(candidate.files);
    const row = await makeLive(tx, { ...toRow(claim, candidate, now), files });
    await endRun(tx, claim, { status: 'PUBLISHED', adapterId: row.id, reason: null, now });
    if ((live?.id ?? null) !== candidate.parentId) {
      const message = `another adapter of ${mode} is live than the gate compared with`;
      throw new LiveAdapterChanged(message);
    }
    if (!(await isStored())) throw new LiveAdapterChanged('the files are gone from the store');
    return row;
  });
  for (const topic of [feedTopic(userId), runsTopic(userId)]) deps.wakeups.wake(topic);
  return adapter;
}

/** Records a candidate that did not pass the gate: it gets no version and none of its files are kept. Throws ClaimLost. */
export async function recordRejected(
  deps: RegistryDeps,
  claim: RunClaim,
  candidate: Candidate,
): Promise<AdapterRow> {
  const now = new Date(deps.clock.now());
  const adapter = await deps.db.transaction().execute(async (tx) => {
    const row = await tx
      .insertInto('adapters')
      .values({ ...toRow(claim, candidate, now), version: 0, status: 'REJECTED', files: '[]' })
      .returningAll()
      .executeTakeFirstOrThrow();
    const { reason } = candidate.evaluation;
    await endRun(tx, claim, { status: 'REJECTED', adapterId: row.id, reason, now });
    return row;
  });
  deps.wakeups.wake(runsTopic(claim.userId));
  return adapter;
}

function toRow({ userId, mode, runId }: RunClaim, candidate: Candidate, now: Date) {
  const { sha256, rank, baseSha256, datasetId, dataThrough, parentId } = candidate;
  const { startedFromId, onPolicyShare } = candidate;
  const origin = 'SERVER' as const;
  return {
    ...{ userId, mode, runId, origin, sha256, rank, baseSha256, datasetId, dataThrough, parentId },
    ...{ startedFromId, onPolicyShare, createdAt: now },
    lineage: JSON.stringify(candidate.lineage),
    evaluation: JSON.stringify(candidate.evaluation),
  };
}

async function endRun(
  tx: Tx,
  claim: RunClaim,
  end: { status: RunStatus; adapterId: string; reason: string | null; now: Date },
): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('runs')
    .set({ status: end.status, adapterId: end.adapterId, reason: end.reason, finishedAt: end.now })
    .where('id', '=', claim.runId)
    .where('userId', '=', claim.userId)
    .where('mode', '=', claim.mode)
    .where('status', '=', 'RUNNING')
    .where('attempt', '=', claim.attempt)
    .executeTakeFirst();
  if (numUpdatedRows === 1n) return;
  throw new ClaimLost(
    `run ${claim.runId} was cancelled or claimed again after attempt ${claim.attempt}`,
  );
}
