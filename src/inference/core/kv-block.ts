// The keys and values of some rows that share one length bucket, laid out as the decode graph reads them: per layer one
// f32[B, heads of k/v, 1, T, D] for the keys and one for the values, dense from the start of a fixed piece of memory, so
// that a run is fed without a copy. It knows nothing of requests or adapters.

import { type HostTensor, hostTensor } from '../../runtime/host-tensor.ts';

/** Lengths are rounded up to this, so that rows rarely have to be moved and the reduction order inside a kernel never
 *  depends on how long the other rows are: it is a multiple of every vector width. */
const BUCKET_TOKENS = 64;

/** What of a model decides the size of its cache. */
export interface KvShape {
  readonly layerCount: number;
  readonly kvHeadCount: number;
  readonly headSize: number;
}

/** Rounds a count of tokens up to whole buckets; at least one. */
export function bucketOf(tokens: number): number {
  return Math.max(1, Math.ceil(tokens / BUCKET_TOKENS)) * BUCKET_TOKENS;
}

/** Bytes that one position of one row takes in all layers. */
export function kvBytesPerToken(shape: KvShape): number {
  return shape.layerCount * 2 * shape.kvHeadCount * shape.headSize * Float32Array.BYTES_PER_ELEMENT;
}

/** A fixed piece of memory for rows times bucket <= capacityTokens positions. Beyond a row's own length it is zero:
 *  what a masked position holds is multiplied by zero, and that must not be a former row's NaN.
 *  The system hands out the memory as it is first touched. */
export class KvBlock {
  readonly #shape: KvShape;
  readonly #capacityTokens: number;
  /** Keys and values of layer 0, keys and values of layer 1, ...: the order in which the graph returns new ones. */
  readonly #arrays: readonly Float32Array[];
  #rows = 0;
  #bucket = BUCKET_TOKENS;
  #feeds: Readonly<Record<string, HostTensor>> | null = null;

  constructor(shape: KvShape, capacityTokens: number) {
    this.#shape = shape;
    this.#capacityTokens = capacityTokens;
    const size = capacityTokens * shape.kvHeadCount * shape.headSize;
    this.#arrays = Array.from({ length: shape.layerCount * 2 }, () => new Float32Array(size));
  }

  get rows(): number {
    return this.#rows;
  }

  /** T: positions that each row has room for. */
  get bucket(): number {
    return this.#bucket;
  }

  /** Makes the rows longer or shorter in place; whoever shortens knows that all rows fit. */
  setBucket(bucket: number): void {
    if (bucket === this.#bucket) return;
    this.#check(this.#rows, bucket);
    for (const array of this.#arrays) this.#restride(array, bucket);
    this.#bucket = bucket;
    this.#feeds = null;
  }

  /** Adds an empty row at the end and returns its index. */
  addRow(): number {
    const row = this.#rows;
    this.#check(row + 1, this.#bucket);
    this.#rows = row + 1;
    const size = this.#rowSize(this.#bucket);
    for (const array of this.#arrays) array.fill(0, row * size, (row + 1) * size);
    this.#feeds = null;
    return row;
  }

  /** Removes a row; the last row takes its index. */
  removeRow(row: number): void {
    const last = this.#rows - 1;
    const size = this.#rowSize(this.#bucket);
    if (row !== last)
      for (const array of this.#arrays)
        array.copyWithin(row * size, last * size, (last + 1) * size);
    this.#rows = last;
    this.#feeds = null;
  }

  /** Copies the first `tokens` positions of another block's row over those of a row here. */
  copyRow(
    row: number,
    from: { readonly block: KvBlock; readonly row: number },
    tokens: number,
  ): void {
    const { kvHeadCount, headSize } = this.#shape;
    for (const [i, array] of this.#arrays.entries()) {
      const source = from.block.#arrays[i] as Float32Array;
      for (let head = 0; head < kvHeadCount; head += 1) {
        const start = from.block.#headStart(from.row, head);
        array.set(source.subarray(start, start + tokens * headSize), this.#headStart(row, head));
      }
    }
  }

  /** Writes what a run returned for row `b` of its batch behind the `past` positions that `row` already has.
   *  fresh f32[B, layers * 2 * heads of k/v, 1, S, D] */
  append(row: number, past: number, fresh: HostTensor, b: number): void {
    const { kvHeadCount, headSize } = this.#shape;
    const data = fresh.data as Float32Array;
    const size = (fresh.dims[3] ?? 0) * headSize;
    let start = b * this.#arrays.length * kvHeadCount * size;
    for (const array of this.#arrays) {
      for (let head = 0; head < kvHeadCount; head += 1) {
        const target = this.#headStart(row, head) + past * headSize;
        array.set(data.subarray(start, start + size), target);
        start += size;
      }
    }
  }

  /** The block as inputs of the decode graph; the same objects until rows or bucket change. */
  feeds(): Readonly<Record<string, HostTensor>> {
    this.#feeds ??= this.#makeFeeds();
    return this.#feeds;
  }

  #makeFeeds(): Readonly<Record<string, HostTensor>> {
    const { kvHeadCount, headSize } = this.#shape;
    const dims = [this.#rows, kvHeadCount, 1, this.#bucket, headSize];
    const size = this.#rows * this.#rowSize(this.#bucket);
    return Object.fromEntries(
      this.#arrays.map((array, i) => [
        `past_${i % 2 === 0 ? 'key' : 'value'}.${i >> 1}`,
        hostTensor(array.subarray(0, size), dims),
      ]),
    );
  }

  #restride(array: Float32Array, bucket: number): void {
    const { kvHeadCount, headSize } = this.#shape;
    const from = this.#bucket * headSize;
    const to = bucket * headSize;
    const heads = this.#rows * kvHeadCount;
    if (to < from)
      for (let i = 0; i < heads; i += 1) array.copyWithin(i * to, i * from, i * from + to);
    // from the end, so that nothing is overwritten before it has moved
    else
      for (let i = heads - 1; i >= 0; i -= 1) {
        array.copyWithin(i * to, i * from, (i + 1) * from);
        array.fill(0, i * to + from, (i + 1) * to);
      }
  }

  #headStart(row: number, head: number): number {
    const { kvHeadCount, headSize } = this.#shape;
    return (row * kvHeadCount + head) * this.#bucket * headSize;
  }

  #rowSize(bucket: number): number {
    return this.#shape.kvHeadCount * bucket * this.#shape.headSize;
  }

  #check(rows: number, bucket: number): void {
    if (rows * bucket > this.#capacityTokens)
      throw new RangeError(
        `${rows} rows of ${bucket} tokens exceed the ${this.#capacityTokens} of this block`,
      );
  }
}
