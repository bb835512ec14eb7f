// The leaves of a graph: inputs fed at each run, weights mapped from a file, and constants kept in the model itself.

import { canonicalDim, type Dim, elementCount, formatShape, isSymbol, type Shape } from './dim.ts';
import { DTYPES, type DType, type TensorData } from './dtype.ts';
import type { ExternalData, SymbolSource, Tensor } from './ir.ts';

const NO_SYMBOLS: Tensor['symbols'] = new Map();

/** A value fed at each run. Symbolic dimensions are bound by the run. */
export function input(name: string, dtype: DType, dims: Shape): Tensor {
  const shape = dims.map(canonicalDim);
  const symbols = new Map<string, SymbolSource>();
  const origin = Object.freeze({ kind: 'input', name } as const);
  const tensor = Object.freeze({ dtype, shape, origin, symbols });
  shape.forEach((dim, axis) => {
    if (isSymbol(dim)) symbols.set(dim, { input: tensor, axis });
  });
  return tensor;
}

/** A frozen value whose little-endian bytes lie in a file of their own; the length follows from dtype and shape.
 *  A byte offset that is a multiple of 4096 lets the runtime map the file instead of reading it. */
export function weight(
  name: string,
  dtype: DType,
  shape: readonly number[],
  { file, byteOffset }: ExternalData,
): Tensor {
  return Object.freeze({
    dtype,
    shape: shape.map(canonicalDim),
    origin: Object.freeze({ kind: 'weight', name, file, byteOffset }),
    symbols: NO_SYMBOLS,
  });
}

/** A value kept inside the model. `values` are plain numbers, or the element type's own typed array, which is then owned by the graph. */
export function constant(
  dtype: DType,
  shape: readonly number[],
  values: TensorData | readonly number[],
): Tensor {
  const data = toTensorData(dtype, values);
  if (data.length !== elementCount(shape)) {
    throw new RangeError(
      `constant ${dtype}${formatShape(shape)} needs ${elementCount(shape)} elements, not ${data.length}`,
    );
  }
  return Object.freeze({
    dtype,
    shape,
    contents: contentsOf(dtype, shape, data),
    origin: Object.freeze({ kind: 'constant', data }),
    symbols: NO_SYMBOLS,
  });
}

/** A constant of no dimensions. */
export function scalar(value: number, dtype: DType = 'f32'): Tensor {
  return constant(dtype, [], [value]);
}

/** A constant vector of whole numbers, i64[n]. */
export function i64(values: readonly number[]): Tensor {
  return constant('i64', [values.length], values);
}

/** A constant of floats, f32[shape]. */
export function f32(shape: readonly number[], values: Float32Array | readonly number[]): Tensor {
  return constant('f32', shape, values);
}

/** A shape that holds no symbols; throws when it does. */
export function staticShape(shape: Shape): readonly number[] {
  return shape.map((dim) => {
    if (typeof dim === 'number') return dim;
    throw new RangeError(`shape ${formatShape(shape)} must hold no symbols`);
  });
}

function toTensorData(dtype: DType, values: TensorData | readonly number[]): TensorData {
  const { Data } = DTYPES[dtype];
  if (values instanceof Data) return values;
  if (!Array.isArray(values)) {
    throw new TypeError(`a constant of ${dtype} needs numbers or ${Data.name}`);
  }
  if (dtype === 'f16' || dtype === 'bf16') {
    throw new TypeError(`a constant of ${dtype} needs its bits, in a Uint16Array`);
  }
  const data = new Data(values.length);
  values.forEach((value: number, at) => {
    data[at] = dtype === 'i64' ? BigInt(value) : value;
  });
  return data;
}

// Longer vectors are data, not shapes.
const MAX_KNOWN_ELEMENTS = 4096;

function contentsOf(
  dtype: DType,
  shape: readonly number[],
  data: TensorData,
): readonly Dim[] | undefined {
  if (dtype !== 'i64' || shape.length > 1 || data.length > MAX_KNOWN_ELEMENTS) return undefined;
  return Array.from(data, Number);
}
