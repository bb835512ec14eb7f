import { describe, expect, it } from 'vitest';
import { AsyncQueue } from '../../src/lib/async-queue.ts';

const read = async <T>(queue: AsyncQueue<T>) => {
  const values: T[] = [];
  for await (const value of queue) values.push(value);
  return values;
};

describe('AsyncQueue', () => {
  it('hands on what was pushed before and while it is read, in order', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    const values = read(queue);
    queue.push(2);
    await Promise.resolve();
    queue.push(3);
    queue.end();
    expect(await values).toEqual([1, 2, 3]);
  });

  it('hands on what was pushed before it failed', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.fail(new Error('no more'));
    expect(await queue.next()).toEqual({ done: false, value: 1 });
    await expect(queue.next()).rejects.toThrow('no more');
  });

  it('keeps to its first end', async () => {
    const queue = new AsyncQueue<number>();
    queue.end();
    queue.fail(new Error('too late'));
    expect(await read(queue)).toEqual([]);
  });
});
