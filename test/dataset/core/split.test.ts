import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { besideExamples, splitOf, splitOfInput } from '../../../src/dataset/core/split.ts';

describe('splitOf', () => {
  it('never changes its mind: these are the parts of data folders that exist', () => {
    const parts = ['mail-01', 'mail-06', 'mail-07', 'mail-08'].map((id) =>
      splitOf('mail.sent', id),
    );
    expect(parts).toEqual(['train', 'validation', 'holdout', 'train']);
  });

  it('puts 70, 10 and 20 of a hundred records into train, validation and holdout', () => {
    const count = 20_000;
    const parts = Array.from({ length: count }, (_, i) => splitOf('mail.sent', `m${i}`));
    const shareOf = (split: string) => parts.filter((part) => part === split).length / count;
    expect(shareOf('train')).toBeCloseTo(0.7, 1.5);
    expect(shareOf('validation')).toBeCloseTo(0.1, 1.5);
    expect(shareOf('holdout')).toBeCloseTo(0.2, 1.5);
  });

  it('tells records of different sources apart, however the names run together', () => {
    const pairs = Array.from({ length: 200 }, (_, i) => [
      splitOf('a', `b${i}`),
      splitOf('ab', `${i}`),
    ]);
    expect(pairs.some(([one, other]) => one !== other)).toBe(true);
  });

  it('takes any name', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (source, recordId) => {
        expect(['train', 'validation', 'holdout']).toContain(splitOf(source, recordId));
      }),
    );
  });
});

describe('splitOfInput', () => {
  it('never changes its mind either', () => {
    const parts = ['a', 'e', 'f', 'h'].map((key) => splitOfInput(key));
    expect(parts).toEqual(['train', 'train', 'holdout', 'holdout']);
  });
});

describe('besideExamples', () => {
  const asked = (content: string, split: 'train' | 'validation' | 'holdout') => ({
    ...{ split, messages: [{ role: 'user' as const, content }] },
  });

  it('moves what is about an example’s prompt into its part, the one furthest from learning, and nothing else', () => {
    const examples = [asked('a', 'holdout'), asked('a', 'train'), asked('b  c', 'validation')];
    const items = [asked('a', 'train'), asked(' b c', 'holdout'), asked('d', 'train')];
    expect(besideExamples(items, examples).map(({ split }) => split)).toEqual([
      ...['holdout', 'validation', 'train'],
    ]);
  });
});
