import { type Clock, systemClock } from '../../../src/lib/clock.ts';

/** A clock whose sleeps are over at once, yet give way, so that whoever tries for ever is ended by the test's limit; `sleeps`
 *  are the milliseconds asked for. */
export function instantClock(): Clock & { readonly sleeps: number[] } {
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => 0,
    sleep: (ms, signal) => {
      sleeps.push(ms);
      return systemClock.sleep(0, signal);
    },
  };
}
