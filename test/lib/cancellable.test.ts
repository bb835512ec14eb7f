import { describe, expect, it } from 'vitest';
import { cancellable } from '../../src/lib/cancellable.ts';
import { deferred } from '../support/deferred.ts';

/** Yields 1, then waits until it is told to end; says when it has cleaned up. */
function patient(cleanedUp: () => void) {
  return async function* (signal: AbortSignal) {
    try {
      signal.throwIfAborted();
      yield 1;
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    } finally {
      cleanedUp();
    }
  };
}

describe('cancellable', () => {
  it('ends a next() that waits when it is returned from', async () => {
    const cleanUp = deferred();
    const values = cancellable(patient(cleanUp.resolve));
    expect(await values.next()).toEqual({ done: false, value: 1 });
    const waiting = values.next();
    expect(await values.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    await cleanUp.promise;
  });

  it('ends when the signal aborts', async () => {
    const cleanUp = deferred();
    const outer = new AbortController();
    const values = cancellable(patient(cleanUp.resolve), outer.signal);
    await values.next();
    const waiting = values.next();
    outer.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await cleanUp.promise;
  });

  it('passes on what is still yielded after the end', async () => {
    const outer = new AbortController();
    const values = cancellable(async function* (signal) {
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve, { once: true });
      });
      yield 'last words';
    }, outer.signal);
    const waiting = values.next();
    outer.abort();
    expect(await waiting).toEqual({ done: false, value: 'last words' });
    expect((await values.next()).done).toBe(true);
  });

  it('passes on what goes wrong by itself', async () => {
    const values = cancellable(async function* () {
      yield await Promise.reject(new Error('broken'));
    });
    await expect(values.next()).rejects.toThrow('broken');
  });

  it('is iterated as the values that it starts', async () => {
    const seen: number[] = [];
    const values = cancellable(async function* () {
      yield* await Promise.resolve([1, 2, 3]);
    });
    for await (const value of values) seen.push(value);
    expect(seen).toEqual([1, 2, 3]);
  });

  it('ends at once when the signal has aborted before', async () => {
    const cleanUp = deferred();
    const values = cancellable(patient(cleanUp.resolve), AbortSignal.abort());
    expect(await values.next()).toEqual({ done: true, value: undefined });
    await values.return?.();
    await cleanUp.promise;
  });

  it('lets go of a signal that lives longer', async () => {
    const listeners = new Set<unknown>();
    const outer = new AbortController().signal;
    outer.addEventListener = (_: string, listener: unknown) => listeners.add(listener);
    outer.removeEventListener = (_: string, listener: unknown) => listeners.delete(listener);
    const none = async function* () {
      yield* await Promise.resolve([]);
    };
    await cancellable(none, outer).next();
    await cancellable(none, outer).return?.();
    expect(listeners.size).toBe(0);
  });
});
