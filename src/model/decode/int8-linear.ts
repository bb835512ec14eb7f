// The linear layer that serving runs on: 8-bit weights, and positions of x as the sum of two 8-bit numbers, a coarse one
// and what it leaves over. One 8-bit number would be faster, but on the default base it costs eight times the quality,
// and two machines then write different tokens (docs/lab-log.md).
// Each position has a scale of its own. The largest number of the whole tensor would let the rows of a batch change each other;
// a bound that holds for any input makes steps so wide that a last bit, in which two machines differ, rounds to another one.

import type { Tensor } from '../../graph/ir.ts';
import { abs, add, max, mul, sub } from '../../graph/ops/elementwise.ts';
import { matmulIntegerToFloat } from '../../graph/ops/matrix.ts';
import { dequantizeLinear, quantizeLinear } from '../../graph/ops/quantise.ts';
import { reduceMax } from '../../graph/ops/reduce.ts';
import { concat, full, sizeOf, split } from '../../graph/ops/reshape.ts';
import { constant, i64, scalar } from '../../graph/tensor.ts';
import { must } from '../../lib/errors.ts';
import type { WeightFile } from '../safetensors/weight-file.ts';

/** W: out column n stands for (values[:, n] - zeros[n]) * scales[n]. */
export interface Int8Weights {
  /** i8 or u8, [K, N] */
  readonly values: Tensor;
  /** f32[N] */
  readonly scales: Tensor;
  /** [N], of the same type as the values */
  readonly zeros: Tensor;
}

/** A matrix in a file of 8-bit weights, which has its scales and zeros beside it. */
export function int8WeightsIn(file: WeightFile, name: string): Int8Weights {
  return { values: file(name), scales: file(`${name}.scales`), zeros: file(`${name}.zeros`) };
}

/** What u8 values stand for when they stand for zero. */
export const ZERO_POINT = 128;
/** Zeros alone (padding, positions without a gradient) must not divide by zero. */
const TINY = 1e-30;
/** Coarse steps on either side of zero. */
const STEPS = 127;
/** A fine step in coarse ones: rounding leaves at most half a coarse step, which becomes at most 127 fine ones. */
export const FINE = 1 / 254;

/** What the linear layers over the same rows and positions share. */
export interface RowConstants {
  /** u8[B, S, 1] */
  readonly zeroPoints: Tensor;
  /** i64[2]: B twice */
  readonly halves: Tensor;
}

/** The constants of all layers whose input has B and S of `like` [B, S, ...]. */
export function rowConstants(like: Tensor): RowConstants {
  const B = sizeOf(like, 0);
  const positions = concat([B, sizeOf(like, 1), i64([1])], 0);
  return { zeroPoints: full(positions, ZERO_POINT, 'u8'), halves: concat([B, B], 0) };
}

/** x W^T.   x f32[B, S, K]   returns f32[B, S, N]
 *  Off by at most 1/64,000 of a position's largest number in each input. */
export function int8Linear(x: Tensor, weights: Int8Weights, constants: RowConstants): Tensor {
  const coarse = rowScales(x, 2); // f32[B, S, 1]
  const scales = { coarse, fine: mul(coarse, FINE) };
  const [ofCoarse, ofFine] = products(x, weights, scales, constants);
  return add(mul(ofCoarse, scales.coarse), mul(ofFine, scales.fine));
}

/** What a step of 8-bit numbers stands for, of each row along an axis, which is 1 long then: its largest magnitude is 127 steps. */
export function rowScales(x: Tensor, axis: number): Tensor {
  return max(mul(reduceMax(abs(x), [axis]), 1 / STEPS), TINY);
}

/** The products of the coarse numbers and of the fine ones, f32[B, S, N] each. */
function products(
  x: Tensor,
  weights: Int8Weights,
  scales: { readonly coarse: Tensor; readonly fine: Tensor },
  { zeroPoints: zero, halves }: RowConstants,
): readonly [Tensor, Tensor] {
  const rows = { axis: 2, blockSize: weights.values.shape[0] as number };
  const coarse = quantizeLinear(x, scales.coarse, zero, rows);
  const rest = sub(x, dequantizeLinear(coarse, scales.coarse, { zero, ...rows }));
  const fine = quantizeLinear(rest, scales.fine, zero, rows);
  // one above the other, so that the weights are read once
  const both = matmulIntegerToFloat(concat([coarse, fine], 0), weights.values, {
    aScale: scalar(1),
    bScale: weights.scales,
    aZero: constant('u8', [], [ZERO_POINT]),
    bZero: weights.zeros,
  }); // f32[2*B, S, N]
  const [ofCoarse, ofFine] = split(both, halves, 0);
  return [must(ofCoarse, 'a coarse part'), must(ofFine, 'a fine part')];
}
