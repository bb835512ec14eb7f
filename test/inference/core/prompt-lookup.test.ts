import { expect, test } from 'vitest';
import { guessNext, isClear } from '../../../src/inference/core/prompt-lookup.ts';

test('a guess is what followed the last place of the same three tokens, else of the same two', () => {
  expect(guessNext([1, 2, 3, 4, 5, 1, 2, 3], 9)).toEqual([4, 5, 1, 2]);
  expect(guessNext([9, 2, 3, 7, 8, 1, 2, 3], 9)).toEqual([7, 8, 1, 2]);
  expect(guessNext([1, 2, 3, 4, 1, 2, 3, 6, 1, 2, 3], 9)).toEqual([6, 1, 2, 3]);
});

test('a guess is cut to its limit, and overlaps itself where a text repeats', () => {
  expect(guessNext([1, 2, 3, 4, 5, 1, 2, 3], 2)).toEqual([4, 5]);
  expect(guessNext([7, 7, 7, 7], 9)).toEqual([7]);
});

test('there is no guess without an earlier place', () => {
  expect(guessNext([], 4)).toEqual([]);
  expect(guessNext([1], 4)).toEqual([]);
  expect(guessNext([1, 2, 3, 4], 4)).toEqual([]);
});

test('a lead is clear beyond a twentieth, and never among broken logits', () => {
  expect(isClear(Float32Array.of(1, 3, 2.9))).toBe(true);
  expect(isClear(Float32Array.of(1, 3, 2.96))).toBe(false);
  expect(isClear(Float32Array.of(3, 3))).toBe(false);
  expect(isClear(Float32Array.of(Number.NaN, Number.NaN))).toBe(false);
});
