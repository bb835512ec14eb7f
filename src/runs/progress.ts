// What a running trainer reports goes into its run, one write at a time, and what happens meanwhile stops the trainer.

import { ClaimLost } from '../adapters/publish.ts';
import { hasChangedSince } from '../dataset/up-to-date.ts';
import type { Db } from '../db/database.ts';
import { runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { Mode } from '../modes/mode.ts';
import type { TrainingProgress } from '../training/training-job.ts';
import { type Claim, isAnotherWaiting, reportProgress, timesGivenWay } from './run.ts';

/** Up to this share of its steps a run gives way to one that knows more; later it costs less to end it. */
const EARLY_SHARE = 0.25;

/** So often in a row a run of a (user, mode) gives way; then one goes on to its end, however much data arrives. */
const MAX_TIMES_IN_A_ROW = 3;

/** Newer data arrived early in the run: the run that waits for it learns everything. */
export class NewerData extends Error {
  override readonly name = 'NewerData';
}

/** What is watched. */
export interface ProgressOptions {
  readonly db: Db;
  readonly wakeups: Wakeups;
  readonly claim: Claim;
  readonly mode: Mode;
  /** The changeSeq of the run's dataset; null: the run does not give way. */
  readonly dataThrough: number | null;
  /** Told of ClaimLost, of NewerData, and of why progress cannot be written. */
  onLost(error: unknown): void;
}

/** Writes the newest progress whenever the last write is done. */
export function progressWriter(options: ProgressOptions) {
  const { db, wakeups, claim, onLost } = options;
  let newest: TrainingProgress | null = null;
  let writing: Promise<void> | null = null;
  const write = async () => {
    while (newest !== null) {
      const progress = newest;
      newest = null;
      if (!(await reportProgress(db, claim, progress)))
        throw new ClaimLost(`run ${claim.runId} was cancelled or claimed again`);
      wakeups.wake(runsTopic(claim.userId));
      if (await shouldGiveWay(options, progress)) throw new NewerData('newer data arrived');
    }
  };
  return {
    report: (progress: TrainingProgress) => {
      newest = progress;
      writing ??= write()
        .catch(onLost)
        .finally(() => {
          writing = null;
        });
    },
    written: async () => {
      await writing;
    },
  };
}

async function shouldGiveWay(
  { db, claim, mode, dataThrough }: ProgressOptions,
  { step, totalSteps }: TrainingProgress,
): Promise<boolean> {
  if (dataThrough === null || step > totalSteps * EARLY_SHARE) return false;
  return (
    (await isAnotherWaiting(db, claim)) &&
    (await hasChangedSince(db, claim.userId, mode, dataThrough)) &&
    (await timesGivenWay(db, claim)) < MAX_TIMES_IN_A_ROW
  );
}
