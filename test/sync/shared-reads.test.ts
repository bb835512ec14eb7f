import { describe, expect, it } from 'vitest';
import { SharedReads } from '../../src/sync/shared-reads.ts';

/** Reads that count themselves and say which one they are. */
function countedReads() {
  let count = 0;
  const read = () => {
    count += 1;
    return Promise.resolve(count);
  };
  return { read, count: () => count };
}

describe('reads that are shared', () => {
  it('are one for all who ask for the same at the same moment, and each its own for others', async () => {
    const reads = new SharedReads<number>();
    const { read, count } = countedReads();
    const answers = await Promise.all(['a', 'a', 'b', 'a'].map((key) => reads.ask(key, read)));
    expect(answers).toEqual([1, 1, 2, 1]);
    expect(count()).toBe(2);
  });

  it('have not begun for anybody who asks while one is under way: it may have missed something', async () => {
    const reads = new SharedReads<string>();
    let begin: () => void = () => undefined;
    const began = new Promise<void>((resolve) => {
      begin = resolve;
    });
    let answer: (text: string) => void = () => undefined;
    const first = reads.ask('a', () => {
      begin();
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    await began;
    const second = reads.ask('a', () => Promise.resolve('with what came meanwhile'));
    answer('as it was');
    expect(await Promise.all([first, second])).toEqual(['as it was', 'with what came meanwhile']);
  });

  it('fail for all who share one, and are begun anew for the next', async () => {
    const reads = new SharedReads<number>();
    const fail = () => Promise.reject(new Error('the database is away'));
    const asked = [reads.ask('a', fail), reads.ask('a', fail)];
    for (const each of asked) await expect(each).rejects.toThrow('away');
    expect(await reads.ask('a', () => Promise.resolve(1))).toBe(1);
  });
});
