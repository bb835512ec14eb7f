// The only door to time: everything that waits or reads the time takes a Clock, so that tests can turn it by hand.

/** Reads the time and waits. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Waits; true after `ms`, false as soon as the signal aborts. */
export function rest(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  return clock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}

/** Resolves when the promise has settled, but after `ms` at the latest. */
export async function atMost(clock: Clock, ms: number, promise: Promise<unknown>): Promise<void> {
  const settled = new AbortController();
  const end = () => settled.abort();
  promise.then(end, end);
  await rest(clock, ms, settled.signal);
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};

/** Runs with a signal that aborts after `ms` on the machine's own clock, and when `parent` does. Leaves nothing behind on
 *  a parent that lives longer. */
export async function within<T>(
  ms: number,
  parent: AbortSignal,
  run: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  if (parent.aborted) stop();
  const timer = setTimeout(stop, ms);
  parent.addEventListener('abort', stop);
  try {
    return await run(controller.signal);
  } finally {
    clearTimeout(timer);
    parent.removeEventListener('abort', stop);
  }
}
