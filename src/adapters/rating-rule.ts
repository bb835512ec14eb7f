// When live ratings say that a version is worse than the one before it. Pure: counts in, a verdict out.

/** Thumbs of one version. */
export interface RatingCounts {
  readonly good: number;
  readonly bad: number;
}

/** Ratings of the new version at which it is judged for the first time; each later time there are twice as many. */
export const FIRST_LOOK = 8;

/** How often, at most, a version that is no worse is found worse, over all the times that it is judged. */
export const FALSE_ALARMS = 0.01;

/** How many of the version's first ratings are judged when it has `count`; null: too few yet. */
export function lookOf(count: number): { readonly ratings: number; readonly level: number } | null {
  if (count < FIRST_LOOK) return null;
  const look = Math.floor(Math.log2(count / FIRST_LOOK)) + 1;
  // 1/(1*2) + 1/(2*3) + ... = 1: all looks together spend what is allowed, the early ones most of it
  return { ratings: FIRST_LOOK * 2 ** (look - 1), level: FALSE_ALARMS / (look * (look + 1)) };
}

/** The odds that a version no worse than the one before it gets so few good ratings or fewer: Fisher's exact test,
 *  one-sided, given how many ratings were good in all. */
export function oddsOfChance(version: RatingCounts, before: RatingCounts): number {
  const count = version.good + version.bad;
  const goodInAll = version.good + before.good;
  const all = count + before.good + before.bad;
  const least = Math.max(0, count - (all - goodInAll));
  let odds = 0;
  for (let good = least; good <= version.good; good += 1)
    odds += Math.exp(
      logChoose(goodInAll, good) + logChoose(all - goodInAll, count - good) - logChoose(all, count),
    );
  return Math.min(1, odds);
}

function logChoose(n: number, k: number): number {
  let sum = 0;
  for (let i = 1; i <= k; i += 1) sum += Math.log((n - k + i) / i);
  return sum;
}
