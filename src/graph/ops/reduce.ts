// Reductions over axes.

import type { Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';
import { i64 } from '../tensor.ts';
import { frontAxis } from './axis.ts';

interface ReduceOptions {
  /** Keep the reduced axes, with one element each (default true). */
  readonly keepDims?: boolean;
}

const reduction =
  (op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax') =>
  (x: Tensor, axes: readonly number[], { keepDims = true }: ReduceOptions = {}): Tensor => {
    const front = i64(axes.map((axis) => frontAxis(x, axis)));
    return applyOp(op, [x, front], { keepdims: keepDims })[0];
  };

/** The sum over axes. */
export const reduceSum = reduction('ReduceSum');
/** The mean over axes. */
export const reduceMean = reduction('ReduceMean');
/** The largest element over axes; equal ones share the gradient. */
export const reduceMax = reduction('ReduceMax');

/** The sum of all elements, a scalar. */
export function sumAll(x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return axes.length === 0 ? x : reduceSum(x, axes, { keepDims: false });
}

/** The index of the largest element along an axis, i64; the first of equal ones. */
export function argMax(x: Tensor, axis: number, { keepDims = true }: ReduceOptions = {}): Tensor {
  return applyOp('ArgMax', [x], { axis: frontAxis(x, axis), keepdims: keepDims })[0];
}

/** The k largest elements along an axis, largest first, and their indices (i64). */
export function topK(x: Tensor, k: number, axis = -1): { values: Tensor; indices: Tensor } {
  const [values, indices] = applyOp('TopK', [x, i64([k])], { axis: frontAxis(x, axis) });
  return { values, indices };
}
