// Operators that move elements without looking at them.

import { formatShape, sameShape } from '../dim.ts';
import type { DType } from '../dtype.ts';
import type { Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';
import { formatType, ShapeError } from '../shape-error.ts';
import { i64 } from '../tensor.ts';
import { frontAxis } from './axis.ts';
import { type Dims, dimsVector, isVector, shapeVector } from './dims.ts';

/** The same elements in another shape. Symbols may be any that x is made of; 0 keeps the dimension at its place, one -1 takes
 *  what is left. */
export function reshape(x: Tensor, dims: Dims): Tensor {
  return reshapeFrom(x, dims, x);
}

/** The elements of `x` in the shape of `like`, whatever symbols that has. */
export function reshapeLike(x: Tensor, like: Tensor): Tensor {
  return sameShape(x.shape, like.shape) ? x : reshapeFrom(x, like.shape, like);
}

/** Reshapes by a constant where one will do: with a 0 for each symbol at its own place, and a -1 for one other. */
function reshapeFrom(x: Tensor, dims: Dims, from: Tensor): Tensor {
  if (isVector(dims)) return applyOp('Reshape', [x, dims], {})[0];
  const kept = dims.map((dim, axis) =>
    typeof dim === 'string' && dim === x.shape[axis] ? 0 : dim,
  );
  const inferred = kept.includes(-1) ? -1 : kept.findIndex((dim) => typeof dim === 'string');
  const target = kept.map((dim, axis) => (axis === inferred ? -1 : dim));
  const [y] = applyOp('Reshape', [x, dimsVector(target, from)], {});
  const wanted = y.shape.map((dim, axis) => (typeof dims[axis] === 'string' ? dims[axis] : dim));
  if (sameShape(wanted, y.shape)) return y;
  throw new ShapeError(`Reshape(${formatType(x)}): cannot become ${formatShape(dims)}`);
}

/** Repeats `x` along axes where it has one element. Symbols may be any that x is made of. */
export function expand(x: Tensor, dims: Dims): Tensor {
  return applyOp('Expand', [x, dimsVector(dims, x)], {})[0];
}

/** Repeats `x` to the shape of `like`. */
export function expandLike(x: Tensor, like: Tensor): Tensor {
  return sameShape(x.shape, like.shape) ? x : expand(x, shapeVector(like));
}

/** A tensor of one value; symbolic dimensions only as a vector. */
export function full(dims: Dims, value: number, dtype: DType = 'f32'): Tensor {
  return applyOp('ConstantOfShape', [dimsVector(dims, null)], { value, dtype })[0];
}

/** Zeros in the dtype and shape of `like`. */
export function zerosLike(like: Tensor): Tensor {
  return full(shapeVector(like), 0, like.dtype);
}

/** Reorders the axes: axis i of the result is axis perm[i] of x. */
export function transpose(x: Tensor, perm: readonly number[]): Tensor {
  return applyOp('Transpose', [x], { perm })[0];
}

/** Joins tensors along an axis; all other dimensions must agree. */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  const [first] = xs;
  if (first === undefined) throw new ShapeError('Concat(): needs at least one tensor');
  return applyOp('Concat', xs, { axis: frontAxis(first, axis) })[0];
}

/** Cuts a tensor along an axis into parts of the given sizes, which add up to the dimension. Symbols may be any that x is made of. */
export function split(x: Tensor, sizes: Dims, axis: number): readonly Tensor[] {
  return applyOp('Split', [x, dimsVector(sizes, x)], { axis: frontAxis(x, axis) });
}

/** The elements [start, end) along one axis of known length. `end` may be Infinity. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const front = frontAxis(x, axis);
  const dim = x.shape[front];
  const stop = typeof dim === 'number' ? Math.min(end, dim) : end;
  return applyOp('Slice', [x, i64([start]), i64([stop]), i64([front])], {})[0];
}

/** Drops axes of one element. */
export function squeeze(x: Tensor, axes: readonly number[]): Tensor {
  return applyOp('Squeeze', [x, i64(axes.map((axis) => frontAxis(x, axis)))], {})[0];
}

/** Adds axes of one element, at these places of the result. */
export function unsqueeze(x: Tensor, axes: readonly number[]): Tensor {
  const places = axes.map((axis) => frontAxis(x, axis, axes.length));
  return applyOp('Unsqueeze', [x, i64(places)], {})[0];
}

/** All dimensions, i64[rank], with known contents. */
export function shapeOf(x: Tensor): Tensor {
  return applyOp('Shape', [x], { start: 0, end: x.shape.length })[0];
}

/** One dimension, i64[1], with known contents. */
export function sizeOf(x: Tensor, axis: number): Tensor {
  const front = frontAxis(x, axis);
  return applyOp('Shape', [x], { start: front, end: front + 1 })[0];
}
