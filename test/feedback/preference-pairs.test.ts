import { describe, expect, it } from 'vitest';
import { preferencePairs, type RatedCompletion } from '../../src/feedback/preference-pairs.ts';

function completion(seq: number, rating: Partial<RatedCompletion> = {}): RatedCompletion {
  return {
    ...{ id: `c${seq}`, seq, text: `text ${seq}`, input: { body: 'b' }, context: {} },
    ...{ adapterId: `a${seq}`, verdict: null, better: null, preferredId: null },
    ...rating,
  };
}

/** Each pair as `chosen > rejected (adapter of the rejected)`. */
function said(...completions: RatedCompletion[]): string[] {
  return preferencePairs(completions).map(
    ({ chosen, rejected }) => `${chosen} > ${rejected.text} (${rejected.adapterId})`,
  );
}

const UP = { verdict: 'UP' as const };
const DOWN = { verdict: 'DOWN' as const };

describe('preferencePairs', () => {
  it.each<[string, RatedCompletion[], string[]]>([
    ['a lone thumb up makes no pair', [completion(1, UP)], []],
    ['a lone thumb down makes no pair', [completion(1, DOWN)], []],
    ['a better text beats the text', [completion(1, { better: 'B' })], ['B > text 1 (a1)']],
    [
      'a better text that is the text itself says nothing',
      [completion(1, { better: ' text 1\n' })],
      [],
    ],
    [
      'a preferred completion beats the one it was preferred to',
      [completion(1, { preferredId: 'c2' }), completion(2)],
      ['text 2 > text 1 (a1)'],
    ],
    [
      'a preferred completion that is gone says nothing',
      [completion(1, { preferredId: 'c9' })],
      [],
    ],
    [
      'a thumb up beats a thumb down',
      [completion(1, DOWN), completion(2, UP)],
      ['text 2 > text 1 (a1)'],
    ],
    [
      'the newest thumb up beats every thumb down',
      [completion(1, UP), completion(2, DOWN), completion(3, UP), completion(4, DOWN)],
      ['text 3 > text 2 (a2)', 'text 3 > text 4 (a4)'],
    ],
    ['two thumbs up make no pair', [completion(1, UP), completion(2, UP)], []],
    [
      'all that is said of one completion counts',
      [
        completion(1, { ...DOWN, better: 'B', preferredId: 'c2' }),
        completion(2),
        completion(3, UP),
      ],
      ['B > text 1 (a1)', 'text 2 > text 1 (a1)', 'text 3 > text 1 (a1)'],
    ],
    [
      'the same pair said twice is one pair',
      [completion(1, { ...DOWN, preferredId: 'c2' }), completion(2, UP)],
      ['text 2 > text 1 (a1)'],
    ],
    [
      'equal answers are no pair',
      [completion(1, { ...DOWN, text: 'same' }), completion(2, { ...UP, text: 'same' })],
      [],
    ],
  ])('%s', (_rule, completions, pairs) => {
    expect(said(...completions)).toEqual(pairs);
  });

  it('names a pair by input, context and both texts, not by who wrote them', () => {
    const hash = (rating: Partial<RatedCompletion>) =>
      preferencePairs([completion(1, { better: 'B', ...rating })])[0]?.sha256;
    expect(hash({ id: 'other', adapterId: null })).toBe(hash({}));
    const others = [{ text: 'x' }, { better: 'x' }, { input: 'x' }, { context: { contact: 'x' } }];
    for (const other of others) expect(hash(other)).not.toBe(hash({}));
  });
});
