// Linear layers that do not learn: y = x W^T, and the gradient that they pass on, in floats or in 8-bit integers.
// In: where a layer's weights lie. Out: graph pieces. It knows nothing of adapters.

import { customGradient } from '../../graph/custom-gradient.ts';
import type { Tensor } from '../../graph/ir.ts';
import { abs, max, mul } from '../../graph/ops/elementwise.ts';
import { matmul, matmulIntegerToFloat } from '../../graph/ops/matrix.ts';
import { dequantizeLinear, quantizeLinear } from '../../graph/ops/quantise.ts';
import { reduceMax } from '../../graph/ops/reduce.ts';
import { full, reshape, sizeOf } from '../../graph/ops/reshape.ts';
import { constant, scalar } from '../../graph/tensor.ts';
import { must } from '../../lib/errors.ts';

/** The numbers that frozen linear layers are multiplied in: floats both ways, or floats forward and 8-bit integers
 *  backward. With integers the loss stays exact and the gradient keeps its direction (cosine 0.998 on the default base), in
 *  60% of the time. Integers forward were tried and cost too much (docs/lab-log.md). */
export type LinearPrecision = 'fp32' | 'int8-backward';

/** A matrix of 8-bit integers: column n stands for values[:, n] * scales[n]. */
export interface Int8Matrix {
  /** i8[K, N] */
  readonly values: Tensor;
  /** f32[N] */
  readonly scales: Tensor;
}

/** x W^T in floats.   x f32[M, in]   weight f32[out, in]   returns f32[M, out] */
export function floatLinear(x: Tensor, weight: Tensor): Tensor {
  return matmul(x, weight, { transB: true });
}

/** x W^T in floats, whose gradient is multiplied in 8-bit integers.
 *  x f32[M, in]   weight f32[out, in]   quantised: the same weight, with a scale per input   returns f32[M, out] */
export function int8BackwardLinear(x: Tensor, weight: Tensor, quantised: Int8Matrix): Tensor {
  const [y] = customGradient({
    name: 'int8BackwardLinear',
    outputs: [floatLinear(x, weight)],
    parents: [x],
    vjp: ([gradient]) => [
      int8Product(quantiseRowsOf(must(gradient, 'one gradient per output')), quantised),
    ],
  });
  return must(y, 'one output in, one output out');
}

/** Rows of numbers as 8-bit ones. */
export interface Int8Rows {
  /** u8[M, K], offset by 128 */
  readonly quantised: Tensor;
  /** f32[M, 1] */
  readonly rowScale: Tensor;
  /** The numbers that the integers stand for: f32[M, K] */
  readonly rounded: Tensor;
}

/** Each row of x rounded to 8 bits by its own largest value, so that no row changes another.   x f32[M, K] */
export function quantiseRowsOf(x: Tensor): Int8Rows {
  // a row of zeros (padding, positions without a gradient) must not divide by zero
  const rowScale = max(mul(reduceMax(abs(x), [1]), 1 / 127), 1e-30); // f32[M, 1]
  const rows = sizeOf(x, 0);
  const zero = full(rows, 128, 'u8');
  const scale = reshape(rowScale, rows);
  const quantised = quantizeLinear(x, scale, zero, { axis: 0 });
  const rounded = dequantizeLinear(quantised, scale, { zero, axis: 0 });
  return { quantised, rowScale, rounded };
}

/** Rows times an 8-bit matrix.   values i8[K, N]   scales f32[N], 1 when left out   returns f32[M, N] */
export function int8Product(
  { quantised, rowScale }: Int8Rows,
  { values, scales = scalar(1) }: { readonly values: Tensor; readonly scales?: Tensor },
): Tensor {
  const product = matmulIntegerToFloat(quantised, values, {
    aScale: scalar(1),
    bScale: scales,
    aZero: constant('u8', [], [128]),
  });
  return mul(product, rowScale);
}
