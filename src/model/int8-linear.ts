// The linear layer that serving runs on: 8-bit weights with a scale per output, and each position of x rounded to 8 bits
// by its own largest value. A scale for the whole tensor would be no faster, and would let rows of a batch change each
// other's numbers.

import type { Tensor } from '../graph/ir.ts';
import { abs, max, mul } from '../graph/ops/elementwise.ts';
import { matmulIntegerToFloat } from '../graph/ops/matrix.ts';
import { quantizeLinear } from '../graph/ops/quantise.ts';
import { reduceMax } from '../graph/ops/reduce.ts';
import { full, shapeOf } from '../graph/ops/reshape.ts';
import { constant, scalar } from '../graph/tensor.ts';
import type { Int8Matrix } from './frozen-linear.ts';

/** x W^T.   x f32[B, S, K]   weights i8[K, N] and f32[N]   returns f32[B, S, N] */
export function int8Linear(x: Tensor, weights: Int8Matrix): Tensor {
  const K = weights.values.shape[0] as number;
  // a position of zeros must not divide by zero
  const scale = max(mul(reduceMax(abs(x), [2]), 1 / 127), 1e-30); // f32[B, S, 1]
  const zeros = full(shapeOf(scale), 128, 'u8');
  const quantised = quantizeLinear(x, scale, zeros, { axis: 2, blockSize: K });
  const product = matmulIntegerToFloat(quantised, weights.values, {
    aScale: scalar(1),
    bScale: weights.scales,
    aZero: constant('u8', [], [128]),
  });
  return mul(product, scale);
}
