import type { Db } from '../db/database.ts';
import type { Objective } from '../modes/mode.ts';
import type { FoldedDataset } from './fold-dataset.ts';
import { learntSha256 } from './up-to-date.ts';

/** Why a run ends before training. */
export type SkipReason = 'TOO_LITTLE_DATA' | 'UNCHANGED';

/** Whether a run trains. */
export type RunDecision =
  | { readonly kind: 'train' }
  | { readonly kind: 'skip'; readonly reason: SkipReason };

/** Hashes of datasets that training on again would teach nothing new. */
export interface PastDatasets {
  /** What the live adapter was trained on; the empty dataset where there is none. */
  readonly learnt: string | null;
  /** What the last run that came to a verdict was trained on: training is repeatable, so its verdict still holds. */
  readonly judged: string | null;
}

/** What a decision follows from besides the data. */
export interface DecideOptions {
  readonly objective: Objective;
  readonly minHoldout: number;
  readonly forced: boolean;
}

/** Decides from the counts and the hash alone. A forced run trains on an unchanged dataset, but not on too little. */
export function decideRun(
  dataset: FoldedDataset,
  past: PastDatasets,
  { objective, minHoldout, forced }: DecideOptions,
): RunDecision {
  const suffices = ({ train, holdout }: FoldedDataset['splitCounts']) =>
    train > 0 && holdout >= minHoldout;
  const canWrite = suffices(dataset.splitCounts);
  const canPrefer = objective !== 'SFT' && suffices(dataset.pairCounts);
  if (!canWrite && !canPrefer) return { kind: 'skip', reason: 'TOO_LITTLE_DATA' };
  const isUnchanged = [past.learnt, past.judged].includes(dataset.row.sha256);
  if (isUnchanged && !forced) return { kind: 'skip', reason: 'UNCHANGED' };
  return { kind: 'train' };
}

/** Reads the past datasets of a (user, mode). */
export async function pastDatasets(db: Db, userId: string, mode: string): Promise<PastDatasets> {
  const judged = await db
    .selectFrom('runs')
    .innerJoin('datasets', 'datasets.id', 'runs.datasetId')
    .select('datasets.sha256')
    .where('runs.userId', '=', userId)
    .where('runs.mode', '=', mode)
    .where('runs.status', 'in', ['PUBLISHED', 'REJECTED'])
    .orderBy('runs.seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return { learnt: await learntSha256(db, userId, mode), judged: judged?.sha256 ?? null };
}
