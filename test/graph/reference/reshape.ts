import { at, dropAxes, generate, mapElements, type NdArray, sizeOfDims, vector } from './array.ts';
import type { References } from './rule.ts';

function cut(x: NdArray, axis: number, start: number, size: number): NdArray {
  return generate(x.dims.with(axis, size), (index) =>
    at(x, index.with(axis, start + (index[axis] ?? 0))),
  );
}

/** The naive reference of the operators that move elements. */
export const RESHAPE_REFERENCE = {
  Reshape: ([x, shape]) => {
    const dims = shape.data.map((dim, axis) => (dim === 0 ? (x.dims[axis] ?? 0) : dim));
    const known = sizeOfDims(dims.filter((dim) => dim !== -1));
    return [{ data: x.data, dims: dims.map((dim) => (dim === -1 ? x.data.length / known : dim)) }];
  },
  Expand: ([x, shape]) => [mapElements([x, generate(shape.data, () => 0)], (value = 0) => value)],
  Transpose: ([x], { perm }) => [
    generate(
      perm.map((axis) => x.dims[axis] ?? 0),
      (index) =>
        at(
          x,
          x.dims.map((_, axis) => index[perm.indexOf(axis)] ?? 0),
        ),
    ),
  ],
  Concat: (inputs, { axis }) => {
    const [first] = inputs;
    if (first === undefined) throw new Error('Concat of nothing');
    const owners = inputs.flatMap((x) =>
      Array.from({ length: x.dims[axis] ?? 0 }, (_, place) => ({ x, place })),
    );
    const element = (index: readonly number[]): number => {
      const owner = owners[index[axis] ?? 0];
      return owner ? at(owner.x, index.with(axis, owner.place)) : Number.NaN;
    };
    return [generate(first.dims.with(axis, owners.length), element)];
  },
  Split: ([x, sizes], { axis }) => {
    const starts = sizes.data.map((_, part) =>
      sizes.data.slice(0, part).reduce((a, b) => a + b, 0),
    );
    return sizes.data.map((size, part) => cut(x, axis, starts[part] ?? 0, size));
  },
  Slice: ([x, starts, ends, axes]) => {
    const [start = 0] = starts.data;
    const [end = 0] = ends.data;
    return [cut(x, axes.data[0] ?? 0, start, end - start)];
  },
  Squeeze: ([x, axes]) => [dropAxes(x, axes.data)],
  Unsqueeze: ([x, axes]) => {
    const dims = [...x.dims];
    for (const axis of [...axes.data].sort((a, b) => a - b)) dims.splice(axis, 0, 1);
    return [{ dims, data: x.data }];
  },
  Shape: ([x], { start, end }) => [vector(x.dims.slice(start, end))],
  ConstantOfShape: ([shape], { value }) => [generate(shape.data, () => value)],
} satisfies Partial<References>;
