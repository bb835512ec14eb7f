import { expect, test } from 'vitest';
import { AdapterCache } from '../../src/inference/adapter-cache.ts';
import type { AdapterImage } from '../../src/inference/core/adapter-image.ts';
import { deferred } from '../support/deferred.ts';

const folder = (sha256: string) => ({ sha256, dir: `/adapters/${sha256}` });
const image = (sizeBytes: number): AdapterImage => ({ rank: 8, arrays: [], sizeBytes, feeds: {} });

/** A cache for adapters of 10 bytes each that notes what it loads. */
function cacheOf(budgetBytes: number) {
  const loaded: string[] = [];
  const cache = new AdapterCache(({ sha256 }) => {
    loaded.push(sha256);
    return Promise.resolve(image(10));
  }, budgetBytes);
  const use = async (sha256: string) => {
    const pinned = cache.pin(folder(sha256));
    await pinned.image;
    pinned.release();
  };
  return { cache, loaded, use };
}

test('an adapter is loaded once, however many ask for it', async () => {
  const { cache, loaded } = cacheOf(100);
  const pins = [cache.pin(folder('a')), cache.pin(folder('a'))];
  await Promise.all(pins.map(({ image: one }) => one));
  expect(loaded).toEqual(['a']);
  expect(pins.map(({ tier }) => tier)).toEqual(['disk', 'memory']);
  expect(cache.sizeBytes).toBe(10);
});

test('the adapter used longest ago goes first', async () => {
  const { loaded, use } = cacheOf(20);
  for (const one of ['a', 'b', 'a', 'c', 'a', 'b']) await use(one);
  expect(loaded).toEqual(['a', 'b', 'c', 'b']);
});

test('an adapter in use stays beyond the budget, until its last user is done', async () => {
  const { cache, loaded, use } = cacheOf(10);
  const [first, second] = [cache.pin(folder('a')), cache.pin(folder('a'))];
  await first.image;
  await use('b');
  first.release();
  await use('a');
  expect(loaded).toEqual(['a', 'b']);
  second.release();
  await use('b');
  await use('a');
  expect(loaded).toEqual(['a', 'b', 'b', 'a']);
  expect(cache.sizeBytes).toBe(10);
});

test('what was warmed is there', async () => {
  const { cache, loaded, use } = cacheOf(100);
  cache.warm(folder('a'));
  await use('a');
  expect(loaded).toEqual(['a']);
});

test('a failed load is told to those who wait, and tried again by the next', async () => {
  const outcomes = [deferred<Error | null>(), deferred<Error | null>()];
  let attempt = 0;
  const cache = new AdapterCache(async () => {
    const outcome = outcomes[attempt];
    attempt += 1;
    const error = await outcome?.promise;
    if (error) throw error;
    return image(10);
  }, 100);
  const failing = [cache.pin(folder('a')), cache.pin(folder('a'))];
  outcomes[0]?.resolve(new Error('the disk is gone'));
  for (const pinned of failing) await expect(pinned.image).rejects.toThrow('the disk is gone');
  outcomes[1]?.resolve(null);
  const pinned = cache.pin(folder('a'));
  for (const one of failing) one.release();
  expect(await pinned.image).toMatchObject({ sizeBytes: 10 });
});
