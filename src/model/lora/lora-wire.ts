// An adapter's tensors as they travel to a device: int8 numbers and a scale for every rank of every matrix, a quarter of the
// file that they stand for. Nothing is lost on the way: published adapters hold only numbers that this coding can write
// (roundLora), so decoding gives the canonical file back, byte by byte. Runs on servers and devices.
//
// Millions of numbers are gone through here while others of a server or a page wait: in plain loops, without a function for
// each number.
//
// Layout, little-endian: u32 length of the header, the header as JSON, zeros up to a multiple of 4, then for each layer and
// module the scales of A and of B as f32, then the same matrices as i8, row by row. Decoded are value = scale * number.

import { encodeSafetensors, type TensorData } from '../safetensors/safetensors-writer.ts';
import type { LoraAdapter, LoraTensor, ScaledNumbers } from './lora.ts';

/** The canonical file of an adapter: its hash is the adapter's name. */
export const TENSORS_FILE = 'adapter_model.safetensors';
/** The file of this coding that stands for it. */
export const WIRE_FILE = 'adapter_model.int8';

/** What the header says. */
export interface LoraWireHeader {
  readonly format: 'attune-lora-int8-v1';
  /** The safetensors file's own. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly rank: number;
  readonly layers: readonly number[];
  /** Such as `self_attn.q_proj`, and the linear layer's sizes. */
  readonly modules: readonly (readonly [name: string, inSize: number, outSize: number])[];
}

/** One matrix in the file: A f32[R, in] with a scale for each row, or B f32[out, R] with one for each column. */
export interface WireMatrix {
  readonly name: string;
  readonly part: 'A' | 'B';
  readonly shape: readonly [rows: number, columns: number];
}

/** A matrix of the file and its numbers, which share the file's memory. */
export type CodedMatrix = WireMatrix & ScaledNumbers;

const LENGTH_BYTES = 4;
/** Room for a few hundred layers; a damaged length must not make us parse megabytes. */
const MAX_HEADER_BYTES = 100_000;
/** The largest whole number that an i8 is used for: symmetric, so that a negated adapter has the same scales. */
const LARGEST = 127;
/** Keeps 16 bits of a scale's significand: with the 7 of a whole number, every product is exact in f32. */
const SCALE_STEP = 0x100;
/** Smaller scales would have products that f32 cannot hold exactly; such a rank adds nothing that matters. */
const SMALLEST_SCALE = 1e-30;

/** The matrices of a header, in the order of their numbers. */
export function wireMatrices({ layers, modules, rank }: LoraWireHeader): readonly WireMatrix[] {
  return layers.flatMap((layer) =>
    modules.flatMap(([module, inSize, outSize]): WireMatrix[] => {
      const name = `base_model.model.model.layers.${layer}.${module}.lora_`;
      return [
        { name: `${name}A.weight`, part: 'A', shape: [rank, inSize] },
        { name: `${name}B.weight`, part: 'B', shape: [outSize, rank] },
      ];
    }),
  );
}

/** The adapter with the nearest numbers that the coding can write: within a rank, multiples of 1/127 of its largest one.
 *  Rounding a rounded adapter changes nothing. */
export function roundLora({ shape, tensors }: LoraAdapter): LoraAdapter {
  const { rank } = shape;
  const round = ({ a, b, ...place }: LoraTensor): LoraTensor => ({
    ...place,
    a: roundMatrix(a, { part: 'A', shape: [rank, a.length / rank] }),
    b: roundMatrix(b, { part: 'B', shape: [b.length / rank, rank] }),
  });
  return { shape, tensors: tensors.map(round) };
}

function roundMatrix(values: Float32Array, matrix: Omit<WireMatrix, 'name'>): Float32Array {
  const scales = largestByRank(values, matrix).map((largest) => scaleAbove(largest / LARGEST));
  const rounded = new Float32Array(values.length);
  const [rows, columns] = matrix.shape;
  for (let row = 0, i = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1, i += 1) {
      const scale = scales[matrix.part === 'A' ? row : column] as number;
      // + 0: minus zero is no number of the coding's
      if (scale !== 0) rounded[i] = (Math.round((values[i] as number) / scale) + 0) * scale;
    }
  return rounded;
}

/** The matrix as scales f32[R] and numbers i8; null unless every value is a whole multiple of its rank's scale. */
export function quantiseExactly(
  values: Float32Array,
  matrix: WireMatrix,
): { readonly scales: Float32Array; readonly numbers: Int8Array } | null {
  const scales = largestByRank(values, matrix).map((largest) => largest / LARGEST);
  const numbers = new Int8Array(values.length);
  const [rows, columns] = matrix.shape;
  for (let row = 0, i = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1, i += 1) {
      const number = (values[i] as number) / (scales[matrix.part === 'A' ? row : column] || 1);
      if (!Number.isInteger(number)) return null;
      numbers[i] = number;
    }
  return { scales: Float32Array.from(scales), numbers };
}

/** A file of the layout from its header, scales and numbers, the last two in the order of wireMatrices. */
export function encodeLoraWire(
  header: LoraWireHeader,
  scales: readonly Float32Array[],
  numbers: readonly Int8Array[],
): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = alignedEnd(json.length);
  const size = (parts: readonly (Float32Array | Int8Array)[]) =>
    parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const bytes = new Uint8Array(start + size(scales) + size(numbers));
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, LENGTH_BYTES);
  let at = start;
  for (const part of [...scales, ...numbers]) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += part.byteLength;
  }
  return bytes;
}

/** The canonical adapter_model.safetensors that the file stands for. Throws RangeError when it is none of the layout. */
export function decodeLoraWire(bytes: Uint8Array): Uint8Array {
  const { header, matrices } = readLoraWire(bytes);
  const tensors = matrices.map((matrix): [string, TensorData] => [
    matrix.name,
    { dtype: 'F32', shape: matrix.shape, data: decoded(matrix) },
  ]);
  return encodeSafetensors(new Map(tensors), header.metadata);
}

function decoded({ part, shape: [rows, columns], scales, numbers }: CodedMatrix): Float32Array {
  const data = new Float32Array(numbers.length);
  for (let row = 0, i = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1, i += 1)
      data[i] = (numbers[i] as number) * (scales[part === 'A' ? row : column] as number);
  return data;
}

/** The parts of a file. Throws RangeError when it is none of the layout. */
export function readLoraWire(bytes: Uint8Array): {
  readonly header: LoraWireHeader;
  readonly matrices: readonly CodedMatrix[];
} {
  const { header, start } = readHeader(bytes);
  const matrices = wireMatrices(header);
  const sizeOf = ({ shape: [rows, columns] }: WireMatrix) => rows * columns;
  const numbersAt = start + 4 * header.rank * matrices.length;
  const end = numbersAt + matrices.reduce((sum, matrix) => sum + sizeOf(matrix), 0);
  if (end !== bytes.length)
    throw new RangeError(`the adapter's wire form has ${bytes.length} bytes, expected ${end}`);
  const allScales = new Float32Array(header.rank * matrices.length);
  new Uint8Array(allScales.buffer).set(bytes.subarray(start, numbersAt));
  let at = bytes.byteOffset + numbersAt;
  const coded = matrices.map((matrix, n) => {
    const numbers = new Int8Array(bytes.buffer, at, sizeOf(matrix));
    at += numbers.length;
    return {
      ...matrix,
      numbers,
      scales: allScales.subarray(n * header.rank, (n + 1) * header.rank),
    };
  });
  return { header, matrices: coded };
}

function readHeader(bytes: Uint8Array): { header: LoraWireHeader; start: number } {
  const length =
    bytes.length < LENGTH_BYTES
      ? 0
      : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (length === 0 || length > MAX_HEADER_BYTES || alignedEnd(length) > bytes.length) {
    throw new RangeError(`the adapter's wire form has no header of ${length} bytes`);
  }
  const text = new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
  let header: Partial<LoraWireHeader>;
  try {
    header = JSON.parse(text) as Partial<LoraWireHeader>;
  } catch (cause) {
    throw new RangeError("the header of the adapter's wire form is not JSON", { cause });
  }
  if (header?.format !== 'attune-lora-int8-v1') {
    throw new RangeError(`the adapter's wire form is ${String(header?.format)}, which is unknown`);
  }
  return { header: header as LoraWireHeader, start: alignedEnd(length) };
}

const alignedEnd = (headerLength: number) => Math.ceil((LENGTH_BYTES + headerLength) / 4) * 4;

function largestByRank(values: Float32Array, matrix: Omit<WireMatrix, 'name'>): number[] {
  const [rows, columns] = matrix.shape;
  const largest: number[] = Array.from({ length: matrix.part === 'A' ? rows : columns }, () => 0);
  for (let row = 0, i = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1, i += 1) {
      const rank = matrix.part === 'A' ? row : column;
      largest[rank] = Math.max(largest[rank] as number, Math.abs(values[i] as number));
    }
  return largest;
}

/** The scale that the coding can write next to, and not below, this one; 0 for one that is too small. */
function scaleAbove(exact: number): number {
  if (exact < SMALLEST_SCALE) return 0;
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, exact);
  view.setUint32(0, (view.getUint32(0) + SCALE_STEP - 1) & ~(SCALE_STEP - 1));
  return view.getFloat32(0);
}
