import { type Dim, divideDims, type Shape } from '../dim.ts';
import type { Tensor } from '../ir.ts';
import {
  broadcastShapes,
  dimAt,
  reject,
  requireDType,
  requireFloat,
  requireSameDType,
  requireShape,
} from './require.ts';
import type { ShapeRules } from './rule.ts';

interface Transposition {
  readonly transA: boolean;
  readonly transB: boolean;
}

const STRAIGHT: Transposition = { transA: false, transB: false };

function matrixDims(shape: Shape, name: string, transposed: boolean): [rows: Dim, columns: Dim] {
  const [rows, columns] = shape.slice(-2);
  if (rows === undefined || columns === undefined) reject(`${name} needs at least 2 dimensions`);
  return transposed ? [columns, rows] : [rows, columns];
}

function productShape(a: Shape, b: Shape, { transA, transB }: Transposition = STRAIGHT): Shape {
  const [rows, inner] = matrixDims(a, 'a', transA);
  const [innerOfB, columns] = matrixDims(b, 'b', transB);
  if (inner !== innerOfB) reject(`inner dimensions ${inner} and ${innerOfB} differ`);
  return [...broadcastShapes(a.slice(0, -2), b.slice(0, -2)), rows, columns];
}

function requireInt8(a: Tensor, b: Tensor, aZero: Tensor | null, bZero: Tensor | null): void {
  requireDType(a, 'a', ['u8', 'i8']);
  requireDType(b, 'b', ['u8', 'i8']);
  if (aZero) requireSameDType(a, aZero);
  if (bZero) requireSameDType(b, bZero);
}

/** Bytes that hold one block of `bits`-bit weights. */
const bytesPerBlock = (blockSize: number, bits: number): number => (blockSize * bits) / 8;

/** Shape rules of matrix products. */
export const MATRIX_SHAPES = {
  MatMul: ([a, b]) => {
    requireSameDType(a, b);
    return [{ dtype: a.dtype, shape: productShape(a.shape, b.shape) }];
  },
  FusedMatMul: ([a, b], attributes) => {
    requireDType(a, 'a', ['f32']);
    requireSameDType(a, b);
    return [{ dtype: a.dtype, shape: productShape(a.shape, b.shape, attributes) }];
  },
  Gemm: ([a, b, c], attributes) => {
    requireFloat(a, 'a');
    requireSameDType(a, b);
    if (a.shape.length !== 2 || b.shape.length !== 2) reject('a and b must have 2 dimensions');
    const shape = productShape(a.shape, b.shape, attributes);
    if (c) {
      requireSameDType(a, c);
      if (broadcastShapes(c.shape, shape).some((dim, axis) => dim !== shape[axis])) {
        reject('c must broadcast to a b');
      }
    }
    return [{ dtype: a.dtype, shape }];
  },
  MatMulInteger: ([a, b, aZero, bZero]) => {
    requireInt8(a, b, aZero, bZero);
    return [{ dtype: 'i32', shape: productShape(a.shape, b.shape) }];
  },
  MatMulIntegerToFloat: ([a, b, aScale, bScale, aZero, bZero, bias]) => {
    requireInt8(a, b, aZero, bZero);
    const shape = productShape(a.shape, b.shape);
    requireDType(aScale, 'aScale', ['f32']);
    requireShape(aScale, 'aScale', []);
    requireDType(bScale, 'bScale', ['f32']);
    if (bScale.shape.length > 0) requireShape(bScale, 'bScale', shape.slice(-1));
    if (bias) requireShape(bias, 'bias', shape.slice(-1));
    return [{ dtype: 'f32', shape }];
  },
  MatMulNBits: ([x, weight, scales], { K, N, bits, block_size }) => {
    requireFloat(x, 'x');
    requireSameDType(x, scales);
    requireDType(weight, 'weight', ['u8']);
    const blocks = Math.ceil(K / block_size);
    if (dimAt(x.shape, x.shape.length - 1) !== K)
      reject(`the last dimension of x must be K = ${K}`);
    requireShape(weight, 'weight', [N, blocks, bytesPerBlock(block_size, bits)]);
    requireShape(scales, 'scales', [N, blocks]);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), N] }];
  },
  QuantizeLinear: ([x, scale, zero], { axis, block_size }) => {
    requireFloat(x, 'x');
    requireSameDType(x, scale);
    requireDType(zero, 'zero', ['u8', 'i8']);
    requireScaleShape(x.shape, scale.shape, axis, block_size);
    requireShape(zero, 'zero', scale.shape);
    return [{ dtype: zero.dtype, shape: x.shape }];
  },
  DequantizeLinear: ([x, scale, zero], { axis, block_size }) => {
    requireDType(x, 'x', ['u8', 'i8', 'i32']);
    requireFloat(scale, 'scale');
    requireScaleShape(x.shape, scale.shape, axis, block_size);
    if (zero) {
      requireSameDType(x, zero);
      requireShape(zero, 'zero', scale.shape);
    }
    return [{ dtype: scale.dtype, shape: x.shape }];
  },
} satisfies Partial<ShapeRules>;

/** A scale is one number, a vector along `axis`, or (block size > 0) one number per block along `axis`. */
function requireScaleShape(x: Shape, scale: Shape, axis: number, blockSize: number): void {
  if (blockSize === 0) {
    if (scale.length === 0) return;
    const along = dimAt(x, axis);
    if (scale.length !== 1 || scale[0] !== along) reject(`scale must be [] or [${along}]`);
    return;
  }
  const blocks = divideDims(dimAt(x, axis), blockSize);
  if (blocks === null) reject(`block size ${blockSize} does not divide dimension ${x[axis]}`);
  const expected = x.map((dim, at) => (at === axis ? blocks : dim));
  if (scale.length !== x.length || scale.some((dim, at) => dim !== expected[at])) {
    reject(`scale must have one element per block: [${expected.join(', ')}]`);
  }
}
