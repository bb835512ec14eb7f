/** Iterates over what `start` yields, so that return() ends at once: it aborts the signal that `start` was given, which
 *  `start` must obey. (An async generator alone answers return() only after the await it is in, which may never end.)
 *  Aborting `signal` ends it as well; both ends are quiet. What `start` still yields once it is told to end is passed on. */
export function cancellable<T>(
  start: (signal: AbortSignal) => AsyncIterable<T>,
  signal?: AbortSignal,
): AsyncIterableIterator<T> {
  const ended = new AbortController();
  // `signal` may live much longer than this: it must not keep it
  const end = () => {
    signal?.removeEventListener('abort', end);
    ended.abort();
  };
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  const source = start(ended.signal)[Symbol.asyncIterator]();
  return {
    async next() {
      try {
        const result = await source.next();
        if (result.done) end();
        return result;
      } catch (error) {
        if (ended.signal.aborted) return { done: true, value: undefined };
        end();
        throw error;
      }
    },
    async return() {
      end();
      await source.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
