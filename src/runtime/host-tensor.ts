// Tensors in this process's memory. Knows no engine: the same code runs on onnxruntime-node, -web and -react-native, each
// of which takes no tensors but its own.

import type { DType, TensorData } from '../graph/dtype.ts';

const ORT_TYPES = {
  f32: 'float32',
  f16: 'float16',
  i64: 'int64',
  i32: 'int32',
  i8: 'int8',
  u8: 'uint8',
  bool: 'bool',
} as const satisfies Partial<Record<DType, string>>;

type HostDType = keyof typeof ORT_TYPES;

/** Makes the engine's own view of a tensor, over the same memory. */
export type MakeNative<T> = (
  ortType: (typeof ORT_TYPES)[HostDType],
  data: TensorData,
  dims: readonly number[],
) => T;

/** A tensor in this process's memory, fed to or fetched from a session. Make it once and use it in many runs: its elements may be
 *  changed in place between runs, and nothing is copied on the way in. */
export class HostTensor {
  readonly dtype: HostDType;
  readonly dims: readonly number[];
  readonly data: TensorData;
  #native: unknown = null;
  #madeBy: MakeNative<unknown> | null = null;

  constructor(dtype: HostDType, data: TensorData, dims: readonly number[]) {
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (data.length !== count) {
      throw new RangeError(
        `${dtype}[${dims.join(', ')}] needs ${count} elements, not ${data.length}`,
      );
    }
    this.dtype = dtype;
    this.dims = Object.freeze([...dims]);
    this.data = data;
  }

  /** For ort-session.ts only: the engine's view of it, made once. */
  static unwrap<T>(tensor: HostTensor, make: MakeNative<T>): T {
    if (tensor.#madeBy !== make) {
      tensor.#native = make(ORT_TYPES[tensor.dtype], tensor.data, tensor.dims);
      tensor.#madeBy = make;
    }
    return tensor.#native as T;
  }
}

/** Views typed array `data` as a tensor without copying: Float32Array as f32, Uint16Array as the bits of f16, and so on. */
export function hostTensor(data: TensorData, dims: readonly number[]): HostTensor {
  return new HostTensor(dtypeOfData(data), data, dims);
}

/** Our name of one of onnxruntime's element types. */
export function dtypeOf(ortType: string): HostDType {
  const found = Object.entries(ORT_TYPES).find(([, name]) => name === ortType);
  if (found === undefined) throw new TypeError(`element type ${ortType} is not supported`);
  return found[0] as HostDType;
}

function dtypeOfData(data: TensorData): HostDType {
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof BigInt64Array) return 'i64';
  if (data instanceof Int32Array) return 'i32';
  if (data instanceof Int8Array) return 'i8';
  return data instanceof Uint8Array ? 'u8' : 'f16';
}
