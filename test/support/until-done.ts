import type { Clock } from '../../src/lib/clock.ts';

/** Sends again until it is answered, as a client does. */
export async function untilDone<T>(send: () => Promise<T>, clock: Clock): Promise<T> {
  for (;;) {
    try {
      return await send();
    } catch {
      // the connection was lost: whether it was applied is found out by asking again
      await clock.sleep(1_000);
    }
  }
}
