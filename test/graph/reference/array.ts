// Arrays of float64 for the naive reference: small, slow and obvious.

/** Elements in row-major order; whole numbers and booleans are numbers too. */
export interface NdArray {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

export const sizeOfDims = (dims: readonly number[]): number => dims.reduce((n, dim) => n * dim, 1);

export const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

/** All index tuples of a shape, in row-major order. */
export function indexTuples(dims: readonly number[]): readonly (readonly number[])[] {
  return dims.reduce<readonly (readonly number[])[]>(
    (tuples, dim) =>
      tuples.flatMap((tuple) => Array.from({ length: dim }, (_, i) => [...tuple, i])),
    [[]],
  );
}

/** An array by a function of the index. */
export function generate(
  dims: readonly number[],
  element: (index: readonly number[]) => number,
): NdArray {
  return { dims, data: indexTuples(dims).map(element) };
}

export const vector = (data: readonly number[]): NdArray => ({ dims: [data.length], data });

/** The element at an index. An axis of one element, or a missing leading axis, is repeated. */
export function at({ dims, data }: NdArray, index: readonly number[]): number {
  const aligned = index.slice(index.length - dims.length);
  const offset = dims.reduce(
    (total, dim, axis) => total * dim + (dim === 1 ? 0 : (aligned[axis] ?? 0)),
    0,
  );
  const element = data[offset];
  if (element === undefined) throw new RangeError(`index [${index}] is outside of [${dims}]`);
  return element;
}

/** Applies a function element by element, broadcasting as numpy does. */
export function mapElements(
  arrays: readonly NdArray[],
  apply: (...elements: number[]) => number,
): NdArray {
  const rank = Math.max(...arrays.map((array) => array.dims.length));
  const dims = Array.from({ length: rank }, (_, axis) =>
    Math.max(...arrays.map((array) => array.dims[axis - rank + array.dims.length] ?? 1)),
  );
  return generate(dims, (index) => apply(...arrays.map((array) => at(array, index))));
}

/** Folds axes away; they keep one element each. */
export function foldAxes(
  x: NdArray,
  axes: readonly number[],
  fold: (elements: readonly number[]) => number,
): NdArray {
  const dims = x.dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const inner = x.dims.map((dim, axis) => (axes.includes(axis) ? dim : 1));
  return generate(dims, (index) =>
    fold(
      indexTuples(inner).map((offset) =>
        at(
          x,
          index.map((i, axis) => i + (offset[axis] ?? 0)),
        ),
      ),
    ),
  );
}

/** Drops axes of one element. */
export const dropAxes = (x: NdArray, axes: readonly number[]): NdArray => ({
  ...x,
  dims: x.dims.filter((_, axis) => !axes.includes(axis)),
});

/** Swaps the last two axes. */
export function swapLast(x: NdArray): NdArray {
  const swap = (index: readonly number[]): readonly number[] => [
    ...index.slice(0, -2),
    ...index.slice(-2).toReversed(),
  ];
  return generate(swap(x.dims), (index) => at(x, swap(index)));
}
