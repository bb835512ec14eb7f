import { expect, test } from 'vitest';
import { DrainRate } from '../../src/inference/drain-rate.ts';

test('a caller is sent away for as long as half the queue takes', () => {
  const rate = new DrainRate();
  for (let i = 0; i < 100; i += 1) rate.finished(i * 100);
  expect(rate.retryAfterMs(64)).toBe(3200);
});

test('neither for a moment nor for ever', () => {
  const rate = new DrainRate();
  for (let i = 0; i < 100; i += 1) rate.finished(i);
  expect(rate.retryAfterMs(4)).toBe(250);
  for (let i = 0; i < 100; i += 1) rate.finished(i * 10_000);
  expect(rate.retryAfterMs(256)).toBe(30_000);
});

test('a pause without work is not taken for slowness', () => {
  const rate = new DrainRate();
  for (let i = 0; i < 100; i += 1) rate.finished(i * 100);
  rate.idle();
  rate.finished(1_000_000);
  rate.finished(1_000_100);
  expect(rate.retryAfterMs(64)).toBe(3200);
});
