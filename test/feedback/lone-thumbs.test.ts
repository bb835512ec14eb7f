import { describe, expect, it } from 'vitest';
import {
  loneThumbs,
  preferencePairs,
  type RatedCompletion,
} from '../../src/feedback/preference-pairs.ts';

function completion(seq: number, rating: Partial<RatedCompletion> = {}): RatedCompletion {
  return {
    ...{ id: `c${seq}`, seq, text: `text ${seq}`, input: { body: 'b' }, context: {} },
    ...{ adapterId: `a${seq}`, verdict: null, better: null, preferredId: null },
    ...rating,
  };
}

const UP = { verdict: 'UP' as const };
const DOWN = { verdict: 'DOWN' as const };

/** Each lone thumb as `+text` or `-text`. */
function said(...completions: RatedCompletion[]): string[] {
  return loneThumbs(completions, preferencePairs(completions)).map(
    ({ completion: { text }, isGood }) => `${isGood ? '+' : '-'}${text}`,
  );
}

describe('loneThumbs', () => {
  it.each<[string, RatedCompletion[], string[]]>([
    [
      'an answer without a rating is not a bad one',
      [completion(1), completion(2, UP)],
      ['+text 2'],
    ],
    ['a thumb up alone', [completion(1, UP)], ['+text 1']],
    ['a thumb down alone', [completion(1, DOWN)], ['-text 1']],
    ['both sides of a pair are not alone', [completion(1, DOWN), completion(2, UP)], []],
    ['a thumb beside a better text is a pair', [completion(1, { ...DOWN, better: 'B' })], []],
    ['a better text that says the same', [completion(1, { ...UP, better: 'text 1' })], ['+text 1']],
    ['a preferred answer has no thumb', [completion(1, { preferredId: 'c2' }), completion(2)], []],
    ['two thumbs up', [completion(1, UP), completion(2, UP)], ['+text 1', '+text 2']],
    [
      'a thumb up that is older than the one that made the pair',
      [completion(1, UP), completion(2, UP), completion(3, DOWN)],
      ['+text 1'],
    ],
    [
      'equal answers: the newest thumb counts',
      [completion(1, { ...DOWN, text: 'same' }), completion(2, { ...UP, text: 'same' })],
      ['+same'],
    ],
    ['an answer that was erased', [completion(1, { ...UP, text: '' })], []],
  ])('%s', (_rule, completions, thumbs) => {
    expect(said(...completions)).toEqual(thumbs);
  });

  it('names a thumb by input, context, text and its direction, not by who wrote the text', () => {
    const hash = (rating: Partial<RatedCompletion>) =>
      loneThumbs([completion(1, { ...UP, ...rating })], [])[0]?.sha256;
    expect(hash({ id: 'other', adapterId: null })).toBe(hash({}));
    for (const other of [DOWN, { text: 'x' }, { input: 'x' }, { context: { contact: 'x' } }])
      expect(hash(other)).not.toBe(hash({}));
  });
});
