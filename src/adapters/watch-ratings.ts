// The automatic way back: a live version whose ratings fall clearly below those of the version before it is withdrawn.

import type { Db } from '../db/database.ts';
import type { AdapterRow } from '../db/schema.ts';
import { LiveAdapterChanged } from './publish.ts';
import { lookOf, oddsOfChance, type RatingCounts } from './rating-rule.ts';
import { liveAdapter } from './registry.ts';
import { rollbackAdapter } from './rollback.ts';

/** More of a version's ratings are not looked at. */
const MOST_RATINGS = 4096;

/** Rolls the mode's live adapter back to the version before it when its ratings are clearly worse (`rating-rule.ts`), and
 *  returns the version that is live then; null when all stays as it is. Only a version that a run published is watched. */
export async function rollBackIfRatedWorse(
  deps: Parameters<typeof rollbackAdapter>[0],
  userId: string,
  mode: string,
): Promise<AdapterRow | null> {
  const { db, store } = deps;
  const live = await liveAdapter(db, userId, mode);
  if (live === null || live.origin !== 'SERVER' || live.parentId === null) return null;
  const before = await earlierVersion(db, userId, live.parentId);
  if (before === null || before.sha256 === live.sha256) return null;
  const complaint = await complaintAbout(db, live, before);
  if (complaint === null || !(await store.isIntact(before))) return null;
  try {
    const cause = { replacing: live.id, reason: 'RATED_WORSE', explanation: complaint } as const;
    return await rollbackAdapter(deps, userId, before.id, cause);
  } catch (error) {
    // a run or another rating was faster: what is live now has ratings of its own to come
    if (error instanceof LiveAdapterChanged) return null;
    throw error;
  }
}

/** A version that can go live again: one that was revoked never does. */
async function earlierVersion(db: Db, userId: string, id: string): Promise<AdapterRow | null> {
  const row = await db
    .selectFrom('adapters')
    .selectAll()
    .where('id', '=', id)
    .where('userId', '=', userId)
    .where('status', '=', 'SUPERSEDED')
    .executeTakeFirst();
  return row ?? null;
}

/** What is wrong with a version in its user's eyes; null when nothing is, or too little is known. */
async function complaintAbout(
  db: Db,
  live: AdapterRow,
  before: AdapterRow,
): Promise<string | null> {
  const ratings = await ratingsOf(db, live);
  const look = lookOf(ratings.length);
  if (look === null) return null;
  const own = countsOf(ratings.slice(0, look.ratings));
  const others = countsOf(await ratingsOf(db, before));
  const odds = oddsOfChance(own, others);
  if (odds >= look.level) return null;
  return (
    `rolled back: ${shown(own)} ratings of version ${live.version} were good, ` +
    `${shown(others)} of version ${before.version} (odds of chance ${odds.toExponential(1)})`
  );
}

function shown({ good, bad }: RatingCounts): string {
  return `${good} of ${good + bad}`;
}

/** Whether each rating of the version's bytes was good, oldest first. A rating without a thumb says what the user would
 *  rather have had: it is not good. */
async function ratingsOf(
  db: Db,
  { userId, mode, sha256 }: AdapterRow,
): Promise<readonly boolean[]> {
  const rows = await db
    .selectFrom('completions')
    .innerJoin('adapters', 'adapters.id', 'completions.adapterId')
    .select('completions.verdict')
    .where('completions.userId', '=', userId)
    .where('adapters.userId', '=', userId)
    .where('adapters.mode', '=', mode)
    .where('adapters.sha256', '=', sha256)
    .where('completions.ratedAt', 'is not', null)
    .orderBy('completions.ratedAt')
    .orderBy('completions.seq')
    .limit(MOST_RATINGS)
    .execute();
  return rows.map(({ verdict }) => verdict === 'UP');
}

function countsOf(ratings: readonly boolean[]): RatingCounts {
  const good = ratings.filter((isGood) => isGood).length;
  return { good, bad: ratings.length - good };
}
