import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partsByInput, splitOf, splitOfInput } from '../../../src/dataset/core/split.ts';

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

describe('partsByInput', () => {
  it('is the part of the examples of an input, of several the one furthest from learning', () => {
    const of = (inputSha256: string, ...splits: readonly ('train' | 'validation' | 'holdout')[]) =>
      splits.map((split) => ({ inputSha256, split }));
    const parts = partsByInput([
      ...of('a', 'holdout', 'train'),
      ...of('b', 'train', 'validation', 'train'),
      ...of('c', 'train'),
    ]);
    expect([...parts].sort()).toEqual([
      ['a', 'holdout'],
      ['b', 'validation'],
      ['c', 'train'],
    ]);
  });
});
