// Matrix products, in floats and on quantised weights.

import type { Tensor } from '../ir.ts';
import { applyOp } from '../node.ts';

/** What a product does to its operands: alpha * op(a) op(b), where op may swap the last two axes. */
export interface ProductOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

/** alpha * op(a) op(b) over the last two axes; the axes before broadcast. With options, f32 only (onnxruntime's FusedMatMul). */
export function matmul(a: Tensor, b: Tensor, options: ProductOptions = {}): Tensor {
  const { transA = false, transB = false, alpha = 1 } = options;
  if (!transA && !transB && alpha === 1) return applyOp('MatMul', [a, b], {})[0];
  return applyOp('FusedMatMul', [a, b], { transA, transB, alpha })[0];
}

/** alpha * op(a) op(b) + beta * c for matrices; c broadcasts to the product. */
export function gemm(
  a: Tensor,
  b: Tensor,
  options: ProductOptions & { readonly c?: Tensor; readonly beta?: number } = {},
): Tensor {
  const { c = null, transA = false, transB = false, alpha = 1, beta = 1 } = options;
  return applyOp('Gemm', [a, b, c], { transA, transB, alpha, beta })[0];
}

/** (a - zeros.a) (b - zeros.b) exactly, 8-bit in, i32 out. A missing zero point is 0. */
export function matmulInteger(
  a: Tensor,
  b: Tensor,
  zeros: { readonly a?: Tensor; readonly b?: Tensor } = {},
): Tensor {
  return applyOp('MatMulInteger', [a, b, zeros.a ?? null, zeros.b ?? null], {})[0];
}

/** (a - aZero) (b - bZero) * aScale * bScale + bias in f32.
 *  a u8|i8[..., K]   b u8|i8[K, N]   aScale f32[]   bScale f32[] or f32[N], a scale per column */
export function matmulIntegerToFloat(
  a: Tensor,
  b: Tensor,
  options: {
    readonly aScale: Tensor;
    readonly bScale: Tensor;
    readonly aZero?: Tensor;
    readonly bZero?: Tensor;
    readonly bias?: Tensor;
  },
): Tensor {
  const { aScale, bScale, aZero = null, bZero = null, bias = null } = options;
  return applyOp('MatMulIntegerToFloat', [a, b, aScale, bScale, aZero, bZero, bias], {})[0];
}

/** x W^T on blockwise quantised weights.
 *  x f32[..., K]   weight u8[N, K/blockSize, blockSize*bits/8], values offset by 2^(bits-1)   scales f32[N, K/blockSize]
 *  accuracyLevel 4 (default) quantises x to 8 bits per block, 0 keeps it in floats. */
export function matmulNBits(
  x: Tensor,
  weight: Tensor,
  scales: Tensor,
  options: {
    readonly K: number;
    readonly N: number;
    readonly bits: 4 | 8;
    readonly blockSize: number;
    readonly accuracyLevel?: number;
  },
): Tensor {
  const { K, N, bits, blockSize, accuracyLevel = 4 } = options;
  const attributes = { K, N, bits, block_size: blockSize, accuracy_level: accuracyLevel };
  return applyOp('MatMulNBits', [x, weight, scales], attributes)[0];
}
