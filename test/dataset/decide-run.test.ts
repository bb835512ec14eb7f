import { describe, expect, it } from 'vitest';
import { type SufficiencyRule, suffices } from '../../src/dataset/decide-run.ts';
import type { TrainingSet } from '../../src/dataset/load-dataset.ts';

type Split = TrainingSet['examples'][number]['split'];
type Counts = readonly [train: number, holdout: number];

const splitsOf = ([train, holdout]: Counts): readonly Split[] => [
  ...Array<Split>(train).fill('train'),
  'validation',
  ...Array<Split>(holdout).fill('holdout'),
];
const named = (split: Split) => ({ split, messages: [], sha256: '', adapterId: null });
const examples = (counts: Counts): Partial<TrainingSet> => ({
  examples: splitsOf(counts).map((split) => ({ ...named(split), target: 'x' })),
});
const pairs = (counts: Counts, rejected = 'y'): Partial<TrainingSet> => ({
  preferences: splitsOf(counts).map((split) => ({ ...named(split), chosen: 'x', rejected })),
});
const thumbs = (good: Counts, bad: Counts): Partial<TrainingSet> => {
  const of = (counts: Counts, isGood: boolean) =>
    splitsOf(counts).map((split) => ({ ...named(split), answer: 'x', isGood }));
  return { thumbs: [...of(good, true), ...of(bad, false)] };
};

describe('a training set', () => {
  it.each<[boolean, string, Partial<TrainingSet>, SufficiencyRule['objective']?]>([
    [true, 'enough examples', examples([28, 8])],
    [false, 'one held-out example too few', examples([28, 7])],
    [false, 'nothing to learn from', examples([0, 8])],
    [false, 'nothing', {}],
    [true, 'examples alone in a mode of preferences', examples([28, 8]), 'DPO'],
    [false, 'pairs in a mode that only writes', pairs([28, 8])],
    [true, 'enough pairs', pairs([28, 8]), 'DPO'],
    [
      true,
      'enough pairs beside too few examples',
      { ...examples([9, 3]), ...pairs([28, 8]) },
      'SFT_THEN_DPO',
    ],
    [false, 'one held-out pair too few', pairs([28, 7]), 'DPO'],
    [false, 'no pair to learn from', pairs([0, 8]), 'DPO'],
    [false, 'pairs that a trainer drops', pairs([28, 8], ' \n'), 'DPO'],
    [true, 'thumbs of both kinds', thumbs([3, 8], [0, 9]), 'DPO'],
    [false, 'too few thumbs of one kind', thumbs([3, 7], [0, 90]), 'DPO'],
    [true, 'pairs and thumbs together', { ...pairs([0, 5]), ...thumbs([1, 3], [0, 4]) }, 'DPO'],
  ])('suffices or not (%s): %s', (expected, _what, set, objective = 'SFT') => {
    const whole = { examples: [], preferences: [], thumbs: [], ...set };
    expect(suffices(whole, { objective, minHoldout: 8 })).toBe(expected);
  });
});
