import { expect, it } from 'vitest';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';

const tick = { done: false, value: undefined };
const end = { done: true, value: undefined };

it('ticks at once, so that what happened before is looked at', async () => {
  const ticks = openLocalWakeups().follow('a');
  expect(await ticks.next()).toEqual(tick);
});

it('ticks after a wake, whether the follower waits already or not', async () => {
  const wakeups = openLocalWakeups();
  const ticks = wakeups.follow('a');
  await ticks.next();
  const waiting = ticks.next();
  wakeups.wake('a');
  expect(await waiting).toEqual(tick);
  wakeups.wake('a');
  expect(await ticks.next()).toEqual(tick);
});

it('makes one tick of many wakes, and none of those of other topics', async () => {
  const wakeups = openLocalWakeups();
  const stop = new AbortController();
  const ticks = wakeups.follow('a', stop.signal);
  await ticks.next();
  for (const topic of ['a', 'a', 'b', 'a']) wakeups.wake(topic);
  expect(await ticks.next()).toEqual(tick);
  wakeups.wake('b');
  const waiting = ticks.next();
  stop.abort();
  expect(await waiting).toEqual(end);
});

it('wakes every follower of a topic', async () => {
  const wakeups = openLocalWakeups();
  const followers = [wakeups.follow('a'), wakeups.follow('a')];
  for (const ticks of followers) await ticks.next();
  wakeups.wake('a');
  expect(await Promise.all(followers.map((ticks) => ticks.next()))).toEqual([tick, tick]);
});

it.each(['abort', 'return', 'close'])('ends on %s, waiting or not', async (way) => {
  const wakeups = openLocalWakeups();
  const stop = new AbortController();
  const ticks = wakeups.follow('a', stop.signal);
  await ticks.next();
  const waiting = ticks.next();
  if (way === 'abort') stop.abort();
  if (way === 'return') await ticks.return?.();
  if (way === 'close') await wakeups.close();
  expect(await waiting).toEqual(end);
  wakeups.wake('a');
  expect(await ticks.next()).toEqual(end);
});

it('follows nothing with a signal that aborted already, nor after closing', async () => {
  const wakeups = openLocalWakeups();
  expect(await wakeups.follow('a', AbortSignal.abort()).next()).toEqual(end);
  await wakeups.close();
  expect(await wakeups.follow('a').next()).toEqual(end);
});
