// From floats to 8-bit numbers and back.

import type { Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';

interface QuantiseOptions {
  readonly axis?: number;
  readonly blockSize?: number;
}

/** round(x / scale) + zero, ties to even, saturated, in the dtype of zero.
 *  scale and zero: [] for all of x, [dim] along `axis`, or with `blockSize` one per block along `axis`. */
export function quantizeLinear(
  x: Tensor,
  scale: Tensor,
  zero: Tensor,
  { axis = 0, blockSize = 0 }: QuantiseOptions = {},
): Tensor {
  return applyOp('QuantizeLinear', [x, scale, zero], { axis, block_size: blockSize })[0];
}

/** (x - zero) * scale, in the dtype of scale. Scale and zero as in quantizeLinear; no zero means 0. */
export function dequantizeLinear(
  x: Tensor,
  scale: Tensor,
  {
    zero = null,
    axis = 0,
    blockSize = 0,
  }: QuantiseOptions & { readonly zero?: Tensor | null } = {},
): Tensor {
  return applyOp('DequantizeLinear', [x, scale, zero], { axis, block_size: blockSize })[0];
}
