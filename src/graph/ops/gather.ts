// Operators that read or write elements by index. Indices are i64 and count from 0.

import type { ScatterReduction, Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';
import { frontAxis } from './axis.ts';

/** The slices of x at `indices` along an axis, whose dimension is replaced by those of the indices. */
export function gather(x: Tensor, indices: Tensor, axis = 0): Tensor {
  return applyOp('Gather', [x, indices], { axis: frontAxis(x, axis) })[0];
}

/** y[i][j] = x[indices[i][j]][j] for axis 0, and so on; indices have as many axes as x. */
export function gatherElements(x: Tensor, indices: Tensor, axis: number): Tensor {
  return applyOp('GatherElements', [x, indices], { axis: frontAxis(x, axis) })[0];
}

/** The slices of x that the index tuples in the last axis of `indices` point at. */
export function gatherNd(x: Tensor, indices: Tensor): Tensor {
  return applyOp('GatherND', [x, indices], {})[0];
}

/** Rows of a blockwise quantised table, de-quantised.
 *  table u8[V, H*bits/8], values offset by 2^(bits-1)   scales f32[V, H/blockSize]   returns f32[...indices, H] */
export function gatherBlockQuantized(
  table: Tensor,
  indices: Tensor,
  scales: Tensor,
  { bits, blockSize }: { readonly bits: 4 | 8; readonly blockSize: number },
): Tensor {
  const attributes = { gather_axis: 0, quantize_axis: 1, block_size: blockSize, bits };
  return applyOp('GatherBlockQuantized', [table, indices, scales], attributes)[0];
}

/** A copy of x with the slices at the index tuples replaced by the updates, or (add) the updates added, repeats included. */
export function scatterNd(
  x: Tensor,
  indices: Tensor,
  updates: Tensor,
  reduction: ScatterReduction = 'none',
): Tensor {
  return applyOp('ScatterND', [x, indices, updates], { reduction })[0];
}

/** A copy of x with x[indices[i][j]][j] (axis 0, and so on) replaced by, or (add) increased by, updates[i][j]. */
export function scatterElements(
  x: Tensor,
  indices: Tensor,
  updates: Tensor,
  options: { readonly axis: number; readonly reduction?: ScatterReduction },
): Tensor {
  const { axis, reduction = 'none' } = options;
  const attributes = { axis: frontAxis(x, axis), reduction };
  return applyOp('ScatterElements', [x, indices, updates], attributes)[0];
}
