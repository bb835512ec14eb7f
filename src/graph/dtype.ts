/** Element types of tensors. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i64' | 'i32' | 'i8' | 'u8' | 'bool';

/** Typed arrays that hold tensor elements; f16 and bf16 are kept as their 16 bits, bool as 0 or 1. */
export type TensorData =
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int8Array
  | Uint8Array;

interface DTypeRow {
  /** `TensorProto.DataType` of the ONNX specification. */
  readonly onnxCode: number;
  readonly sizeBytes: number;
  readonly isFloat: boolean;
  readonly Data: new (length: number) => TensorData;
}

/** What each element type is on the wire and in memory. */
export const DTYPES: Readonly<Record<DType, DTypeRow>> = {
  f32: { onnxCode: 1, sizeBytes: 4, isFloat: true, Data: Float32Array },
  u8: { onnxCode: 2, sizeBytes: 1, isFloat: false, Data: Uint8Array },
  i8: { onnxCode: 3, sizeBytes: 1, isFloat: false, Data: Int8Array },
  i32: { onnxCode: 6, sizeBytes: 4, isFloat: false, Data: Int32Array },
  i64: { onnxCode: 7, sizeBytes: 8, isFloat: false, Data: BigInt64Array },
  bool: { onnxCode: 9, sizeBytes: 1, isFloat: false, Data: Uint8Array },
  f16: { onnxCode: 10, sizeBytes: 2, isFloat: true, Data: Uint16Array },
  bf16: { onnxCode: 16, sizeBytes: 2, isFloat: true, Data: Uint16Array },
};
