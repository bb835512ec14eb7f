import { describe, expect, it } from 'vitest';
import {
  FALSE_ALARMS,
  FIRST_LOOK,
  lookOf,
  oddsOfChance,
  type RatingCounts,
} from '../../src/adapters/rating-rule.ts';
import { seededRandom } from '../../src/training/core/random.ts';

describe('oddsOfChance', () => {
  // Fisher's tea tasting: 70 ways to choose 4 of 8 cups, 1 of them all wrong, 16 with one right, 36, 16, 1
  it.each([
    [{ good: 0, bad: 4 }, { good: 4, bad: 0 }, 1 / 70],
    [{ good: 1, bad: 3 }, { good: 3, bad: 1 }, 17 / 70],
    [{ good: 3, bad: 1 }, { good: 1, bad: 3 }, 69 / 70],
    [{ good: 4, bad: 0 }, { good: 0, bad: 4 }, 1],
    [{ good: 0, bad: 8 }, { good: 0, bad: 0 }, 1],
    // 10 of 11 are good in all: the chance that the one bad one is among the version's 5
    [{ good: 4, bad: 1 }, { good: 6, bad: 0 }, 5 / 11],
  ])('of %o beside %o is %d', (version, before, odds) => {
    expect(oddsOfChance(version, before)).toBeCloseTo(odds, 10);
  });

  it('stays a number for many ratings', () => {
    const odds = oddsOfChance({ good: 1000, bad: 3096 }, { good: 3096, bad: 1000 });
    expect(odds).toBeGreaterThanOrEqual(0);
    expect(odds).toBeLessThan(1e-9);
  });
});

describe('lookOf', () => {
  it.each([
    [0, null],
    [7, null],
    [8, 8],
    [15, 8],
    [16, 16],
    [100, 64],
  ])('with %d ratings judges the first %d', (count, ratings) => {
    expect(lookOf(count)?.ratings ?? null).toBe(ratings);
  });

  it('spends no more than it may over all looks', () => {
    const levels = Array.from({ length: 40 }, (_, k) => lookOf(8 * 2 ** k)?.level ?? 1);
    expect(levels.reduce((sum, level) => sum + level, 0)).toBeLessThan(FALSE_ALARMS);
  });
});

describe('the rule over the life of a version', () => {
  const USERS = 2000;
  const RATINGS = 64;

  /** The share of versions with these odds of a good rating that the rule rolls back, and after how many ratings. */
  function play(odds: { version: number; before: number; ratingsBefore: number }, seed: string) {
    const random = seededRandom(seed.repeat(64));
    const rated = (count: number, good: number) =>
      Array.from({ length: count }, () => random() < good);
    const ends = Array.from({ length: USERS }, () => {
      const before = counted(rated(odds.ratingsBefore, odds.before));
      const version = rated(RATINGS, odds.version);
      // between two looks nothing changes
      for (let count = FIRST_LOOK; count <= RATINGS; count *= 2) {
        const level = lookOf(count)?.level ?? 0;
        if (oddsOfChance(counted(version.slice(0, count)), before) < level) return count;
      }
      return null;
    });
    const alarms = ends.filter((end) => end !== null).sort((a, b) => a - b);
    return { share: alarms.length / USERS, median: alarms[Math.floor(alarms.length / 2)] };
  }

  function counted(ratings: readonly boolean[]): RatingCounts {
    const good = ratings.filter((isGood) => isGood).length;
    return { good, bad: ratings.length - good };
  }

  // seeded: the outcome is always the same; with another seed, 1.5% or more would be a chance of 1 in 50 at the very most
  it.each([0.2, 0.5, 0.8, 0.95])('hardly ever blames a version that is as good: %d', (good) => {
    const { share } = play({ version: good, before: good, ratingsBefore: 30 }, '5');
    expect(share).toBeLessThan(0.015);
  });

  it('finds a version that fell from 80% to 30% after a few ratings', () => {
    const { share, median } = play({ version: 0.3, before: 0.8, ratingsBefore: 30 }, '6');
    expect(share).toBeGreaterThan(0.9);
    expect(median).toBeLessThanOrEqual(16);
  });

  it('leaves a version alone that is rated better', () => {
    const { share } = play({ version: 0.8, before: 0.5, ratingsBefore: 30 }, '7');
    expect(share).toBe(0);
  });
});
