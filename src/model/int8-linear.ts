// The linear layer that serving runs on: 8-bit weights, and positions of x as the sum of two 8-bit numbers, a coarse one
// and what it leaves over. One 8-bit number would be faster, but on the default base it costs eight times the quality,
// and two machines then write different tokens (docs/lab-log.md).
// Each position has a scale of its own: one for the whole tensor would let the rows of a batch change each other.

import type { Tensor } from '../graph/ir.ts';
import { abs, add, max, mul, sub } from '../graph/ops/elementwise.ts';
import { matmulIntegerToFloat } from '../graph/ops/matrix.ts';
import { dequantizeLinear, quantizeLinear } from '../graph/ops/quantise.ts';
import { reduceMax } from '../graph/ops/reduce.ts';
import { concat, full, shapeOf, sizeOf, split } from '../graph/ops/reshape.ts';
import { constant, scalar } from '../graph/tensor.ts';
import { must } from '../lib/errors.ts';

/** W: out column n stands for (values[:, n] - zeros[n]) * scales[n]. */
export interface Int8Weights {
  /** i8 or u8, [K, N] */
  readonly values: Tensor;
  /** f32[N] */
  readonly scales: Tensor;
  /** [N], of the same type as the values */
  readonly zeros: Tensor;
}

const ZERO_POINT = 128;

/** x W^T.   x f32[B, S, K]   returns f32[B, S, N]
 *  Off by at most 1/64,000 of a position's largest number in each input. */
export function int8Linear(x: Tensor, { values, scales, zeros }: Int8Weights): Tensor {
  const K = values.shape[0] as number;
  // a position of zeros must not divide by zero
  const coarseScale = max(mul(reduceMax(abs(x), [2]), 1 / 127), 1e-30); // f32[B, S, 1]
  // rounding leaves at most half a step, which becomes at most 127 fine steps
  const fineScale = mul(coarseScale, 1 / 254);
  const zero = full(shapeOf(coarseScale), ZERO_POINT, 'u8');
  const rows = { axis: 2, blockSize: K };
  const coarse = quantizeLinear(x, coarseScale, zero, rows);
  const rest = sub(x, dequantizeLinear(coarse, coarseScale, { zero, ...rows }));
  const fine = quantizeLinear(rest, fineScale, zero, rows);
  // side by side, so that the weights are read once
  const products = matmulIntegerToFloat(concat([coarse, fine], 0), values, {
    aScale: scalar(1),
    bScale: scales,
    aZero: constant('u8', [], [ZERO_POINT]),
    bZero: zeros,
  }); // f32[2*B, S, N]
  const B = sizeOf(x, 0);
  const [ofCoarse, ofFine] = split(products, concat([B, B], 0), 0);
  return add(
    mul(must(ofCoarse, 'a coarse part'), coarseScale),
    mul(must(ofFine, 'a fine part'), fineScale),
  );
}
