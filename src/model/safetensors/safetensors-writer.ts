// Writes safetensors: equal tensors and metadata give equal bytes, whatever order they come in.

import { DTYPE_BYTES, type Dtype, LENGTH_BYTES } from './safetensors-header.ts';

const SPACE = 0x20;

/** What a header says of a tensor. */
export interface TensorShape {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A tensor to write: its numbers in row-major order, as their bytes. */
export interface TensorData extends TensorShape {
  readonly data: Uint8Array | Float32Array;
}

/** A header, and the tensors' names in the order in which their bytes must follow it. */
export interface HeaderPlan {
  readonly header: Uint8Array;
  readonly names: readonly string[];
}

/** The whole file as bytes. Deterministic. Throws when data and shape do not fit. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const { header, names } = planHeader(tensors, metadata);
  const chunks = names.map((name) => tensorBytes(name, tensors.get(name) as TensorData));
  return concatBytes([header, ...chunks]);
}

/** The file's beginning, up to the first number, for writers that stream the tensors. Largest type first and then by name,
 *  as the format's own library does, so that every tensor is aligned; padded with spaces so that the first number starts
 *  at a multiple of `alignBytes`. */
export function planHeader(
  tensors: ReadonlyMap<string, TensorShape>,
  metadata: Readonly<Record<string, string>>,
  alignBytes = 8,
): HeaderPlan {
  const names = [...tensors.keys()].sort(byTypeThenName(tensors));
  const entries: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) entries.push(['__metadata__', sorted(metadata)]);
  let end = 0;
  for (const name of names) {
    const { dtype, shape } = tensors.get(name) as TensorShape;
    const start = end;
    end += tensorSize({ dtype, shape });
    entries.push([name, { dtype, shape, data_offsets: [start, end] }]);
  }
  return { header: encodeHeader(JSON.stringify(Object.fromEntries(entries)), alignBytes), names };
}

function encodeHeader(json: string, alignBytes: number): Uint8Array {
  const text = new TextEncoder().encode(json);
  const dataStart = Math.ceil((LENGTH_BYTES + text.length) / alignBytes) * alignBytes;
  const header = new Uint8Array(dataStart).fill(SPACE);
  new DataView(header.buffer).setBigUint64(0, BigInt(dataStart - LENGTH_BYTES), true);
  header.set(text, LENGTH_BYTES);
  return header;
}

function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function byTypeThenName(tensors: ReadonlyMap<string, TensorShape>) {
  const size = (name: string) => DTYPE_BYTES[(tensors.get(name) as TensorShape).dtype];
  return (a: string, b: string) => size(b) - size(a) || (a < b ? -1 : 1);
}

function sorted(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function tensorSize({ dtype, shape }: TensorShape): number {
  return shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
}

function tensorBytes(name: string, tensor: TensorData): Uint8Array {
  const { data, dtype, shape } = tensor;
  if (data.byteLength !== tensorSize(tensor))
    throw new Error(`tensor ${name}: ${data.byteLength} bytes are not ${dtype} [${shape}]`);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
