import type { Clock } from '../../../src/lib/clock.ts';

/** A clock whose sleeps are over at once; `sleeps` are the milliseconds asked for. */
export function instantClock(): Clock & { readonly sleeps: number[] } {
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => 0,
    sleep: (ms, signal) => {
      sleeps.push(ms);
      signal?.throwIfAborted();
      return Promise.resolve();
    },
  };
}
