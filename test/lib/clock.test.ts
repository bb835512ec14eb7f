import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { within } from '../../src/lib/clock.ts';

const aborted = (signal: AbortSignal) =>
  new Promise<string>((resolve) => {
    if (signal.aborted) resolve('aborted');
    signal.addEventListener('abort', () => resolve('aborted'));
  });

describe('work within a time', () => {
  it('is told when the time is over', async () => {
    expect(await within(1, new AbortController().signal, aborted)).toBe('aborted');
  });

  it('is told when its parent aborts, or has aborted already', async () => {
    const parent = new AbortController();
    const ended = within(3_600_000, parent.signal, aborted);
    parent.abort();
    expect(await ended).toBe('aborted');
    expect(await within(3_600_000, parent.signal, aborted)).toBe('aborted');
  });

  it('leaves nothing behind on its parent, whatever becomes of it', async () => {
    const parent = new AbortController();
    expect(await within(3_600_000, parent.signal, () => 'done')).toBe('done');
    const fails = () => Promise.reject(new Error('it failed'));
    await expect(within(3_600_000, parent.signal, fails)).rejects.toThrow('it failed');
    expect(getEventListeners(parent.signal, 'abort')).toEqual([]);
  });
});
