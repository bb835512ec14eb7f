// Linear layers that do not learn: y = x W^T, and the gradient that they pass on, in floats or in 8-bit integers.
// In: where a layer's weights lie. Out: graph pieces. It knows nothing of adapters.

import { customGradient } from '../../graph/custom-gradient.ts';
import type { Tensor } from '../../graph/ir.ts';
import { add, mul, sub } from '../../graph/ops/elementwise.ts';
import { matmul, matmulIntegerToFloat } from '../../graph/ops/matrix.ts';
import { dequantizeLinear, quantizeLinear } from '../../graph/ops/quantise.ts';
import { full, reshape, sizeOf } from '../../graph/ops/reshape.ts';
import { constant, scalar } from '../../graph/tensor.ts';
import { must } from '../../lib/errors.ts';
import { FINE, type Int8Weights, rowScales, ZERO_POINT } from '../decode/int8-linear.ts';

/** The numbers that frozen linear layers are multiplied in: floats, or 8-bit integers both ways. Forward those are the integers
 *  that answers are made with, so that what is learnt and measured is the model that answers; the gradient keeps its
 *  direction. docs/lab-log.md has what that saves and what it changes. */
export type LinearPrecision = 'fp32' | 'int8';

/** A matrix of 8-bit integers: column n stands for (values[:, n] - z) * scales[n], where z is 0 for i8 and 128 for u8. */
export interface Int8Matrix {
  /** i8 or u8, [K, N] */
  readonly values: Tensor;
  /** f32[N] */
  readonly scales: Tensor;
}

/** x W^T in floats.   x f32[M, in]   weight f32[out, in]   returns f32[M, out] */
export function floatLinear(x: Tensor, weight: Tensor): Tensor {
  return matmul(x, weight, { transB: true });
}

/** x W^T in 8-bit integers, as int8Linear of decode/int8-linear.ts computes it but for the last bits: its two products here read the
 *  weights twice, and move less memory where there are many rows. The gradient is one 8-bit number per element.
 *  x f32[M, in]   forward: W by columns   backward: W i8 or u8 [out, in] with a scale per input   returns f32[M, out] */
export function int8TrainLinear(x: Tensor, forward: Int8Weights, backward: Int8Matrix): Tensor {
  const coarse = quantiseRowsOf(x);
  const rest = sub(x, coarse.rounded);
  const fine = quantizeLinear(rest, mul(coarse.scale, FINE), coarse.zero, { axis: 0 });
  const product = (rows: Tensor, scales: Tensor) =>
    integerProduct(rows, { values: forward.values, scales, zeros: forward.zeros });
  const both = add(
    product(coarse.quantised, forward.scales),
    product(fine, mul(forward.scales, FINE)),
  );
  const [y] = customGradient({
    name: 'int8TrainLinear',
    outputs: [mul(both, coarse.rowScale)],
    parents: [x],
    vjp: ([gradient]) => [
      int8Product(quantiseRowsOf(must(gradient, 'one gradient per output')), backward),
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
  /** The same, f32[M], and the offset, u8[M]: what quantising asks for. */
  readonly scale: Tensor;
  readonly zero: Tensor;
  /** The numbers that the integers stand for: f32[M, K] */
  readonly rounded: Tensor;
}

/** Each row of x rounded to 8 bits by its own largest value, so that no row changes another.   x f32[M, K] */
export function quantiseRowsOf(x: Tensor): Int8Rows {
  const rowScale = rowScales(x, 1); // f32[M, 1]
  const rows = sizeOf(x, 0);
  const zero = full(rows, ZERO_POINT, 'u8');
  const scale = reshape(rowScale, rows);
  const quantised = quantizeLinear(x, scale, zero, { axis: 0 });
  const rounded = dequantizeLinear(quantised, scale, { zero, axis: 0 });
  return { quantised, rowScale, scale, zero, rounded };
}

/** Rows times an 8-bit matrix.   values i8 or u8 [K, N]   scales f32[N], 1 when left out   returns f32[M, N] */
export function int8Product(
  { quantised, rowScale }: Int8Rows,
  { values, scales = scalar(1) }: { readonly values: Tensor; readonly scales?: Tensor },
): Tensor {
  const zeros = values.dtype === 'u8' ? constant('u8', [], [ZERO_POINT]) : null;
  return mul(integerProduct(quantised, { values, scales, zeros }), rowScale);
}

function integerProduct(
  rows: Tensor,
  weights: {
    readonly values: Tensor;
    readonly scales: Tensor;
    readonly zeros: Tensor | null;
  },
): Tensor {
  return matmulIntegerToFloat(rows, weights.values, {
    aScale: scalar(1),
    bScale: weights.scales,
    aZero: constant('u8', [], [ZERO_POINT]),
    ...(weights.zeros && { bZero: weights.zeros }),
  });
}
