import { at, generate, mapElements, type NdArray, sizeOfDims, sum, swapLast } from './array.ts';
import type { References } from './rule.ts';

function product(a: NdArray, b: NdArray): NdArray {
  const inner = a.dims.at(-1) ?? 0;
  const rank = Math.max(a.dims.length, b.dims.length);
  const batch = Array.from({ length: rank - 2 }, (_, axis) =>
    Math.max(a.dims[axis - rank + a.dims.length] ?? 1, b.dims[axis - rank + b.dims.length] ?? 1),
  );
  return generate([...batch, a.dims.at(-2) ?? 0, b.dims.at(-1) ?? 0], (index) => {
    const outer = index.slice(0, -2);
    const [row = 0, column = 0] = index.slice(-2);
    const term = (k: number): number => at(a, [...outer, row, k]) * at(b, [...outer, k, column]);
    return sum(Array.from({ length: inner }, (_, k) => term(k)));
  });
}

function scaledProduct(
  a: NdArray,
  b: NdArray,
  { transA, transB, alpha }: { transA: boolean; transB: boolean; alpha: number },
): NdArray {
  const plain = product(transA ? swapLast(a) : a, transB ? swapLast(b) : b);
  return mapElements([plain], (y = 0) => alpha * y);
}

const ZERO: NdArray = { dims: [], data: [0] };

const minus = (x: NdArray, zero: NdArray | null): NdArray =>
  mapElements([x, zero ?? ZERO], (value = 0, z = 0) => value - z);

/** Rounds half to even. */
function roundToEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** The scale or zero point for every element of x: one for all, one per place along an axis, or one per block along it. */
function spread(
  x: NdArray,
  parameter: NdArray,
  { axis, block_size }: { axis: number; block_size: number },
): NdArray {
  return generate(x.dims, (index) => {
    const place = index[axis] ?? 0;
    if (block_size > 0) return at(parameter, index.with(axis, Math.floor(place / block_size)));
    return parameter.dims.length === 0 ? at(parameter, []) : at(parameter, [place]);
  });
}

/** Rows of packed values of `bits` bits, low bits first and offset by half their range; each block has a scale. */
export function unpackRows(
  packed: NdArray,
  scales: NdArray,
  { bits, block_size }: { bits: number; block_size: number },
): NdArray {
  const rows = packed.dims[0] ?? 0;
  const perByte = 8 / bits;
  const width = (sizeOfDims(packed.dims) / rows) * perByte;
  return generate([rows, width], ([row = 0, column = 0]) => {
    const byte = packed.data[Math.floor((row * width + column) / perByte)] ?? 0;
    const value = (byte >> ((column % perByte) * bits)) & (2 ** bits - 1);
    return (value - 2 ** (bits - 1)) * at(scales, [row, Math.floor(column / block_size)]);
  });
}

/** The naive reference of matrix products and quantisation. */
export const MATRIX_REFERENCE = {
  MatMul: ([a, b]) => [product(a, b)],
  FusedMatMul: ([a, b], attributes) => [scaledProduct(a, b, attributes)],
  Gemm: ([a, b, c], attributes) => {
    const y = scaledProduct(a, b, attributes);
    return [mapElements([y, c ?? ZERO], (value = 0, add = 0) => value + attributes.beta * add)];
  },
  MatMulInteger: ([a, b, aZero, bZero]) => [product(minus(a, aZero), minus(b, bZero))],
  MatMulIntegerToFloat: ([a, b, aScale, bScale, aZero, bZero, bias]) => {
    const y = product(minus(a, aZero), minus(b, bZero));
    const toFloat = (n = 0, s = 0, t = 0, add = 0): number => n * s * t + add;
    return [mapElements([y, aScale, bScale, bias ?? ZERO], toFloat)];
  },
  MatMulNBits: ([x, weight, scales], attributes) => [
    product(x, swapLast(unpackRows(weight, scales, attributes))),
  ],
  QuantizeLinear: ([x, scale, zero], attributes) => {
    // The tests use zero points of 128 for u8 and 0 for i8.
    const [low, high] = zero.data[0] === 0 ? [-128, 127] : [0, 255];
    const quantised = mapElements(
      [x, spread(x, scale, attributes), spread(x, zero, attributes)],
      (value = 0, s = 0, z = 0) => Math.min(high, Math.max(low, roundToEven(value / s) + z)),
    );
    return [quantised];
  },
  DequantizeLinear: ([x, scale, zero], attributes) => {
    const zeros = spread(x, zero ?? ZERO, zero ? attributes : { axis: 0, block_size: 0 });
    return [
      mapElements(
        [x, spread(x, scale, attributes), zeros],
        (value = 0, s = 0, z = 0) => (value - z) * s,
      ),
    ];
  },
} satisfies Partial<References>;
