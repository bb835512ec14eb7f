/** Iterates over what `start` yields, so that return() ends at once: it aborts the signal that `start` was given, which
 *  `start` must obey. (An async generator alone answers return() only after the await it is in, which may never end.)
 *  Aborting `signal` ends it as well; both ends are quiet. */
export function cancellable<T>(
  start: (signal: AbortSignal) => AsyncIterable<T>,
  signal?: AbortSignal,
): AsyncIterableIterator<T> {
  const controller = new AbortController();
  const ended = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  const source = start(ended)[Symbol.asyncIterator]();
  return {
    async next() {
      try {
        return await source.next();
      } catch (error) {
        if (ended.aborted) return { done: true, value: undefined };
        throw error;
      }
    },
    async return() {
      controller.abort();
      await source.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
