import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bucketOf, KvBlock, kvBytesPerToken } from '../../../src/inference/core/kv-block.ts';
import { hostTensor } from '../../../src/runtime/host-tensor.ts';

const SHAPE = { layerCount: 2, kvHeadCount: 2, headSize: 3 };
const ARRAYS = 4;

/** New keys and values that tell row, position, array, head and place apart. */
function fresh(tag: number, S: number) {
  const { kvHeadCount, headSize } = SHAPE;
  const data = Float32Array.from(
    { length: ARRAYS * kvHeadCount * S * headSize },
    (_, i) => tag * 10_000 + i + 1,
  );
  return hostTensor(data, [1, ARRAYS * kvHeadCount, 1, S, headSize]);
}

/** What the graph would read for one row: array, head, position. */
function read(block: KvBlock, row: number): number[][][] {
  const { kvHeadCount, headSize } = SHAPE;
  return Object.values(block.feeds()).map(({ data, dims }) => {
    expect(dims).toEqual([block.rows, kvHeadCount, 1, block.bucket, headSize]);
    return Array.from({ length: kvHeadCount }, (_, head) => {
      const start = (row * kvHeadCount + head) * block.bucket * headSize;
      return Array.from((data as Float32Array).subarray(start, start + block.bucket * headSize));
    });
  });
}

/** A block of one row that was filled a token at a time: the plainest way to say what a row holds. */
function plainRow(tags: readonly number[], bucket: number): number[][][] {
  const block = new KvBlock(SHAPE, 1024);
  block.setBucket(bucket);
  block.addRow();
  for (const [past, tag] of tags.entries()) block.append(0, past, fresh(tag, 1), 0);
  return read(block, 0);
}

test('has an input for the keys and the values of each layer', () => {
  const names = Object.keys(new KvBlock(SHAPE, 64).feeds());
  expect(names).toEqual(['past_key.0', 'past_value.0', 'past_key.1', 'past_value.1']);
  expect(kvBytesPerToken(SHAPE)).toBe(2 * 2 * 2 * 3 * 4);
});

test('rounds lengths up to whole buckets', () => {
  expect([0, 1, 64, 65, 512].map(bucketOf)).toEqual([64, 64, 64, 128, 512]);
});

test('writes several positions of the right row of a batch', () => {
  const block = new KvBlock(SHAPE, 64);
  block.addRow();
  block.append(0, 5, fresh(1, 2), 0);
  const head = read(block, 0)[1]?.[1] ?? [];
  // array 1, head 1: behind three heads of two positions of three numbers
  expect(head.slice(5 * 3, 7 * 3)).toEqual([19, 20, 21, 22, 23, 24].map((i) => 10_000 + i));
  expect(head.filter((x) => x !== 0)).toHaveLength(6);
});

test('gives the same inputs until a row or the bucket changes', () => {
  const block = new KvBlock(SHAPE, 256);
  block.addRow();
  const feeds = block.feeds();
  block.append(0, 0, fresh(1, 1), 0);
  block.setBucket(64);
  expect(block.feeds()).toBe(feeds);
  block.addRow();
  expect(block.feeds()).not.toBe(feeds);
});

test('refuses more than its memory', () => {
  const block = new KvBlock(SHAPE, 128);
  block.addRow();
  block.addRow();
  expect(() => block.addRow()).toThrow('3 rows of 64 tokens exceed the 128 of this block');
  expect(() => block.setBucket(128)).toThrow('2 rows of 128 tokens exceed the 128 of this block');
});

const CAPACITY = 6 * 256;

/** A block, and lists of what each of its rows should hold. */
interface Pair {
  readonly block: KvBlock;
  readonly rows: number[][];
}

function hasRoom({ block, rows }: Pair): boolean {
  return (rows.length + 1) * block.bucket <= CAPACITY;
}

/** What can happen to a block; each does the same to both sides. `pick` chooses a row or a length, `tag` is new. */
const ACTIONS: Readonly<Record<string, (pair: Pair, pick: number, tag: number) => void>> = {
  add: (pair) => {
    if (!hasRoom(pair)) return;
    expect(pair.block.addRow()).toBe(pair.rows.length);
    pair.rows.push([]);
  },
  grow: ({ block, rows }) => {
    if (rows.length * (block.bucket + 64) <= CAPACITY) block.setBucket(block.bucket + 64);
  },
  shrink: ({ block, rows }) =>
    block.setBucket(bucketOf(Math.max(0, ...rows.map((row) => row.length)))),
  append: ({ block, rows }, pick, tag) => {
    const row = pick % Math.max(1, rows.length);
    const tags = rows[row];
    if (tags === undefined || tags.length === block.bucket) return;
    block.append(row, tags.length, fresh(tag, 1), 0);
    tags.push(tag);
  },
  remove: ({ block, rows }, pick) => {
    const row = pick % Math.max(1, rows.length);
    if (rows.length === 0) return;
    block.removeRow(row);
    const last = rows.pop();
    if (last !== undefined && row < rows.length) rows[row] = last;
  },
  copyIn: (pair, pick, tag) => {
    if (!hasRoom(pair)) return;
    const lane = new KvBlock(SHAPE, 128);
    lane.setBucket(128);
    lane.addRow();
    const tags = Array.from({ length: pick }, (_, i) => tag * 100 + i);
    for (const [past, one] of tags.entries()) lane.append(0, past, fresh(one, 1), 0);
    pair.block.copyRow(pair.block.addRow(), { block: lane, row: 0 }, tags.length);
    pair.rows.push(tags);
  },
};

test('keeps every row as if it were alone, with zeros behind it', () => {
  const action = fc.record({ name: fc.constantFrom(...Object.keys(ACTIONS)), pick: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const pair: Pair = { block: new KvBlock(SHAPE, CAPACITY), rows: [] };
      for (const [tag, { name, pick }] of actions.entries()) ACTIONS[name]?.(pair, pick, tag);
      for (const [row, tags] of pair.rows.entries())
        expect(read(pair.block, row)).toEqual(plainRow(tags, pair.block.bucket));
    }),
    { numRuns: 60 },
  );
});
