import type { Db } from '../db/database.ts';
import type { Split } from '../db/dataset-tables.ts';
import type { Objective } from '../modes/mode.ts';
import { isAnswer } from './core/clean.ts';
import type { TrainingSet } from './load-dataset.ts';
import { learntSha256 } from './up-to-date.ts';

/** Hashes of datasets that training on again would teach nothing new. */
export interface PastDatasets {
  /** What the live adapter was trained on; the empty dataset where there is none. */
  readonly learnt: string | null;
  /** What the last run that came to a verdict was trained on: training is repeatable, so its verdict still holds. */
  readonly judged: string | null;
}

/** What a mode says of how much it takes. */
export interface SufficiencyRule {
  readonly objective: Objective;
  readonly minHoldout: number;
}

/** Whether there is something to learn from, and enough to judge by: examples, or pairs where the mode learns preferences. A
 *  thumb up and one down count as a pair where they measure. What a trainer would drop does not count. */
export function suffices(set: TrainingSet, { objective, minHoldout }: SufficiencyRule): boolean {
  const canWrite =
    countIn(set.examples, 'train') > 0 && countIn(set.examples, 'holdout') >= minHoldout;
  if (canWrite || objective === 'SFT') return canWrite;
  const pairs = set.preferences.filter(
    ({ chosen, rejected }) => isAnswer(chosen) && isAnswer(rejected),
  );
  const thumbs = set.thumbs.filter(({ answer }) => isAnswer(answer));
  const good = thumbs.filter(({ isGood }) => isGood);
  const bad = thumbs.filter(({ isGood }) => !isGood);
  const matched = Math.min(countIn(good, 'holdout'), countIn(bad, 'holdout'));
  return (
    countIn([...pairs, ...thumbs], 'train') > 0 && countIn(pairs, 'holdout') + matched >= minHoldout
  );
}

function countIn(items: readonly { readonly split: Split }[], part: Split): number {
  return items.filter(({ split }) => split === part).length;
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
