import { expect, it } from 'vitest';
import { openReadiness } from '../../src/operations/readiness.ts';
import { handClock } from '../support/clocks/hand-clock.ts';
import { deferred } from '../support/deferred.ts';

const fine = () => Promise.resolve();

it('is ready when every part answers', async () => {
  const readiness = openReadiness({ queue: fine, engine: fine }, handClock(0), () => undefined);
  expect(await readiness()).toMatchObject({
    isReady: true,
    checks: { queue: { ok: true }, engine: { ok: true } },
  });
});

it('names the part that fails, and tells why to its log only', async () => {
  const failure = new Error('no token');
  const failures: unknown[] = [];
  const parts = { queue: fine, engine: () => Promise.reject(failure) };
  const readiness = openReadiness(parts, handClock(0), (...told) => failures.push(told));
  expect(await readiness()).toMatchObject({
    isReady: false,
    checks: { queue: { ok: true }, engine: { ok: false } },
  });
  expect(failures).toEqual([['engine', failure]]);
});

it('gives up on a part that does not answer', async () => {
  const clock = handClock(0);
  const hangs = { queue: () => new Promise<void>(() => undefined) };
  const answer = openReadiness(hangs, clock, () => undefined)();
  await clock.advance(5_000);
  expect(await answer).toMatchObject({ isReady: false });
});

it('does the work once for all who ask while it goes on, and again afterwards', async () => {
  const mayEnd = deferred();
  let rounds = 0;
  const check = () => {
    rounds += 1;
    return mayEnd.promise;
  };
  const readiness = openReadiness({ queue: check }, handClock(0), () => undefined);
  const asked = [readiness(), readiness()];
  mayEnd.resolve();
  await Promise.all(asked);
  expect(rounds).toBe(1);
  await readiness();
  expect(rounds).toBe(2);
});
