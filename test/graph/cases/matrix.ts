import type { Tensor } from '../../../src/graph/ir.ts';
import {
  gemm,
  matmul,
  matmulInteger,
  matmulIntegerToFloat,
  matmulNBits,
} from '../../../src/graph/ops/matrix.ts';
import { dequantizeLinear, quantizeLinear } from '../../../src/graph/ops/quantise.ts';
import { constant, scalar } from '../../../src/graph/tensor.ts';
import { bytes, declared, frozen, given, opCase, positive, real } from '../op-case.ts';

const zero = (value: number, dtype: 'u8' | 'i8'): Tensor => scalar(value, dtype);
const filled = (dtype: 'u8' | 'i8', dims: readonly number[], value: number) =>
  given(
    dtype,
    dims,
    Array.from({ length: dims.reduce((n, dim) => n * dim, 1) }, () => value),
  );

/** Cases of matrix products and quantisation. */
export const MATRIX_CASES = {
  MatMul: [
    opCase('for matrices', [real(2, 3), real(3, 4)], (a, b) => matmul(a, b)),
    opCase('for one matrix on a batch', [real(2, 2, 3), real(3, 4)], (a, b) => matmul(a, b)),
    opCase('for two batches', [real(2, 2, 3), real(2, 3, 2)], (a, b) => matmul(a, b)),
    opCase('when a batch repeats', [real(2, 1, 2, 3), real(3, 3, 2)], (a, b) => matmul(a, b)),
    opCase('for symbols', [declared(real(2, 2, 3), ['B', 'S', 3]), real(3, 2)], (a, b) =>
      matmul(a, b),
    ),
  ],
  FusedMatMul: [
    opCase('when b is transposed', [real(2, 3), real(4, 3)], (a, b) =>
      matmul(a, b, { transB: true }),
    ),
    opCase('when a is transposed', [real(3, 2), real(3, 4)], (a, b) =>
      matmul(a, b, { transA: true }),
    ),
    opCase('when both are transposed and scaled', [real(3, 2), real(4, 3)], (a, b) =>
      matmul(a, b, { transA: true, transB: true, alpha: 0.5 }),
    ),
    opCase('for one transposed matrix on a batch', [real(2, 2, 3), real(4, 3)], (a, b) =>
      matmul(a, b, { transB: true, alpha: 2 }),
    ),
    opCase('for one matrix on a transposed batch', [real(2, 3, 2), real(3, 4)], (a, b) =>
      matmul(a, b, { transA: true }),
    ),
    opCase('for two batches with axes of heads', [real(2, 2, 2, 3), real(2, 2, 3, 3)], (a, b) =>
      matmul(a, b, { transB: true, alpha: 0.25 }),
    ),
  ],
  Gemm: [
    opCase('without c', [real(2, 3), real(3, 4)], (a, b) => gemm(a, b, { alpha: 2 })),
    opCase('with c', [real(2, 3), real(3, 4), real(2, 4)], (a, b, c) =>
      gemm(a, b, { c, alpha: 2 }),
    ),
    opCase('when c repeats', [real(2, 3), real(4, 3), real(4)], (a, b, c) =>
      gemm(a, b, { c, transB: true, beta: 0.5 }),
    ),
    opCase('when a is transposed', [real(3, 2), real(3, 4)], (a, b) =>
      gemm(a, b, { transA: true }),
    ),
  ],
  MatMulInteger: [
    opCase('for u8 times i8', [bytes('u8', 2, 3), bytes('i8', 3, 4)], (a, b) =>
      matmulInteger(a, b, { a: zero(128, 'u8') }),
    ),
    opCase('for a batch', [bytes('u8', 2, 2, 3), bytes('i8', 2, 3, 4)], (a, b) =>
      matmulInteger(a, b, { a: zero(128, 'u8'), b: zero(0, 'i8') }),
    ),
    opCase('without zero points', [bytes('u8', 2, 3), bytes('i8', 3, 4)], (a, b) =>
      matmulInteger(a, b),
    ),
  ],
  MatMulIntegerToFloat: [
    opCase(
      'with a scale per column',
      [bytes('u8', 2, 2, 16), bytes('i8', 16, 4), positive(4)],
      (a, b, bScale) =>
        matmulIntegerToFloat(a, b, { aScale: scalar(0.01), bScale, aZero: zero(128, 'u8') }),
    ),
    opCase(
      'with a bias and both zero points',
      [bytes('u8', 2, 16), bytes('i8', 16, 4), positive(4), real(4)],
      (a, b, bScale, bias) =>
        matmulIntegerToFloat(a, b, {
          aScale: scalar(0.01),
          bScale,
          aZero: zero(128, 'u8'),
          bZero: zero(0, 'i8'),
          bias,
        }),
    ),
  ],
  MatMulNBits: [
    opCase('for 8 bits', [real(2, 32), bytes('u8', 4, 2, 16), positive(4, 2)], (x, w, s) =>
      matmulNBits(x, w, s, { K: 32, N: 4, bits: 8, blockSize: 16, accuracyLevel: 0 }),
    ),
    opCase('for 4 bits', [real(1, 2, 32), bytes('u8', 4, 2, 8), positive(4, 2)], (x, w, s) =>
      matmulNBits(x, w, s, { K: 32, N: 4, bits: 4, blockSize: 16, accuracyLevel: 0 }),
    ),
    opCase(
      'for 4 bits with activations in 8 bits, which cost up to 3 percent here',
      [real(2, 32), bytes('u8', 4, 1, 16), positive(4, 1)],
      (x, w, s) => matmulNBits(x, w, s, { K: 32, N: 4, bits: 4, blockSize: 32 }),
      0.03,
    ),
  ],
  QuantizeLinear: [
    opCase('with one scale', [real(2, 8)], (x) => quantizeLinear(x, scalar(0.01), zero(0, 'i8'))),
    opCase('with a scale per row', [real(2, 8), positive(2)], (x, scale) =>
      quantizeLinear(x, scale, constant('u8', [2], [128, 128])),
    ),
    opCase(
      'with a scale per block',
      [real(2, 3, 8), positive(2, 3, 1), filled('u8', [2, 3, 1], 128)],
      (x, scale, z) => quantizeLinear(x, scale, z, { axis: 2, blockSize: 8 }),
    ),
    opCase(
      'with a scale per block, for symbols',
      [
        declared(real(2, 3, 8), ['B', 'S', 8]),
        declared(positive(2, 3, 1), ['B', 'S', 1]),
        declared(filled('u8', [2, 3, 1], 128), ['B', 'S', 1]),
      ],
      (x, scale, z) => quantizeLinear(x, scale, z, { axis: 2, blockSize: 8 }),
    ),
    opCase('when values saturate', [given('f32', [3], [-9, 0.5, 9])], (x) =>
      quantizeLinear(x, scalar(0.01), zero(128, 'u8')),
    ),
  ],
  DequantizeLinear: [
    opCase('with one scale', [bytes('i8', 2, 4)], (x) => dequantizeLinear(x, scalar(0.1))),
    opCase('with a zero point per row', [bytes('u8', 2, 4), frozen(positive(2))], (x, scale) =>
      dequantizeLinear(x, scale, { zero: constant('u8', [2], [128, 100]) }),
    ),
    opCase('with a scale per block', [bytes('i8', 2, 8), frozen(positive(2, 2))], (x, scale) =>
      dequantizeLinear(x, scale, { axis: 1, blockSize: 4 }),
    ),
  ],
};
