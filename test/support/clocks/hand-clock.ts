import type { Clock } from '../../../src/lib/clock.ts';
import { deferred } from '../deferred.ts';

/** A clock that stands until it is turned: `jump` moves the time, `advance` also ends the sleeps that are due. */
export function handClock(
  start: number,
): Clock & { jump(ms: number): void; advance(ms: number): Promise<void> } {
  let now = start;
  const sleepers = new Set<{ ms: number; wake: () => void }>();
  const asleep = deferred();
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const sleeper = { ms, wake: resolve };
        sleepers.add(sleeper);
        asleep.resolve();
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
    jump: (ms) => {
      now += ms;
    },
    advance: async (ms) => {
      await asleep.promise;
      now += ms;
      for (const sleeper of sleepers) {
        if (sleeper.ms > ms) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
    },
  };
}
