import { type Dim, formatShape, type Shape } from '../dim.ts';
import type { Tensor } from '../ir.ts';
import { dimAt, reject, requireDType, requireSameDType, requireShape } from './require.ts';
import type { ShapeRules } from './rule.ts';

const requireIndices = (indices: Tensor): void => requireDType(indices, 'indices', ['i64', 'i32']);

/** Replaces the dimension at `axis` by all dimensions of the indices. */
function gatheredShape(x: Shape, indices: Shape, axis: number): Shape {
  dimAt(x, axis);
  return [...x.slice(0, axis), ...indices, ...x.slice(axis + 1)];
}

/** The shape of the slices of `x` that index tuples (the last axis of `indices`) point at, after the dimensions of the tuples. */
function tupleShape(x: Shape, indices: Shape): Shape {
  const width = indices.at(-1);
  if (typeof width !== 'number' || width < 1 || width > x.length) {
    reject(`the last dimension of indices ${formatShape(indices)} must be 1 to ${x.length}`);
  }
  return [...indices.slice(0, -1), ...x.slice(width)];
}

const sameRank = (x: Tensor, indices: Tensor): void => {
  if (x.shape.length !== indices.shape.length) reject('indices must have as many axes as x');
};

/** Elements of 4 or 8 bits that a byte row holds. */
const unpacked = (bytes: Dim, bits: number): Dim =>
  typeof bytes === 'number' ? (bytes * 8) / bits : reject('table must have a known row length');

/** Shape rules of the operators that read or write elements by index. */
export const GATHER_SHAPES = {
  Gather: ([x, indices], { axis }) => {
    requireIndices(indices);
    return [{ dtype: x.dtype, shape: gatheredShape(x.shape, indices.shape, axis) }];
  },
  GatherElements: ([x, indices], { axis }) => {
    requireIndices(indices);
    sameRank(x, indices);
    dimAt(x.shape, axis);
    return [{ dtype: x.dtype, shape: indices.shape }];
  },
  GatherND: ([x, indices]) => {
    requireDType(indices, 'indices', ['i64']);
    return [{ dtype: x.dtype, shape: tupleShape(x.shape, indices.shape) }];
  },
  GatherBlockQuantized: ([table, indices, scales], { block_size, bits }) => {
    requireDType(table, 'table', ['u8']);
    requireIndices(indices);
    const rows = dimAt(table.shape, 0);
    const width = unpacked(dimAt(table.shape, 1), bits);
    if (typeof width !== 'number' || width % block_size !== 0) {
      reject(`block size ${block_size} does not divide row length ${width}`);
    }
    requireShape(scales, 'scales', [rows, width / block_size]);
    return [{ dtype: scales.dtype, shape: gatheredShape([rows, width], indices.shape, 0) }];
  },
  ScatterND: ([x, indices, updates]) => {
    requireDType(indices, 'indices', ['i64']);
    requireSameDType(x, updates);
    requireShape(updates, 'updates', tupleShape(x.shape, indices.shape));
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  ScatterElements: ([x, indices, updates], { axis }) => {
    requireIndices(indices);
    requireSameDType(x, updates);
    sameRank(x, indices);
    dimAt(x.shape, axis);
    requireShape(updates, 'updates', indices.shape);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
} satisfies Partial<ShapeRules>;
