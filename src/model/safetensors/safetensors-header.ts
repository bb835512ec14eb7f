// The header of a safetensors file: 8 bytes of length, then JSON. Strict: what is not exactly as the format says is refused,
// since adapters come from strangers. Knows nothing of where the bytes are.

import type { AppError } from '../../lib/errors.ts';
import { badFile } from '../bad-file.ts';

/** Bytes of one number of each type that the format knows. */
// biome-ignore format: a table
export const DTYPE_BYTES = {
  BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1,
  U16: 2, I16: 2, F16: 2, BF16: 2,
  U32: 4, I32: 4, F32: 4,
  U64: 8, I64: 8, F64: 8,
} as const;

/** A number type, as safetensors names it. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** Where one tensor is in the file and what it is. */
interface TensorEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** A checked header: every byte of the file belongs to it or to exactly one tensor. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The length in front of the header. */
export const LENGTH_BYTES = 8;
/** The format's own limit. A flipped bit in the length must not make us allocate gigabytes. */
const MAX_HEADER_BYTES = 100_000_000;
/** More dimensions than any tensor of a model has; stops products over endless lists. */
const MAX_RANK = 8;
/** Keeps a header of empty tensors from filling the memory with entries. */
const MAX_TENSORS = 100_000;

/** Reads the header's length from the file's first 8 bytes. Throws BAD_INPUT when it cannot be one. */
export function headerLength(start: Uint8Array, fileBytes: number, label: string): number {
  if (start.length < LENGTH_BYTES)
    throw bad(label, `is ${fileBytes} bytes long, too short for a safetensors file`);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES)
    throw bad(label, `claims a header of ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  if (LENGTH_BYTES + Number(length) > fileBytes)
    throw bad(label, `is cut off: ${fileBytes} bytes, the header alone needs ${length}`);
  return Number(length);
}

/** Parses and checks the JSON between the length and the numbers. Throws BAD_INPUT naming the file and the tensor. */
export function parseHeader(json: Uint8Array, fileBytes: number, label: string): SafetensorsHeader {
  const { __metadata__: metadata = {}, ...entries } = parseObject(json, label);
  if (!isStringMap(metadata)) throw bad(label, '__metadata__ is not a map of strings');
  const names = Object.keys(entries);
  if (names.length > MAX_TENSORS)
    throw bad(label, `has ${names.length} tensors, at most ${MAX_TENSORS} are allowed`);
  const dataStart = LENGTH_BYTES + json.length;
  const tensors = new Map(
    names.map((name) => [
      name,
      parseEntry(entries[name], dataStart, `${label}, tensor ${quote(name)}`),
    ]),
  );
  checkLayout(tensors, dataStart, fileBytes, label);
  return { tensors, metadata };
}

function parseObject(json: Uint8Array, label: string): Record<string, unknown> {
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    parsed = JSON.parse(text);
  } catch (cause) {
    throw bad(label, 'its header is not JSON: not a safetensors file, or a damaged one', cause);
  }
  if (!isObject(parsed)) throw bad(label, 'its header is not a JSON object');
  const twice = firstRepeatedKey(text);
  if (twice !== null) throw bad(label, `its header has ${quote(twice)} twice`);
  return parsed;
}

/** The first key that one object of this valid JSON text holds twice: JSON.parse would silently keep the last. */
function firstRepeatedKey(text: string): string | null {
  const open: Set<string>[] = [];
  for (const [, string, bracket] of text.matchAll(
    /("(?:[^"\\]|\\.)*")(?=\s*:)|"(?:[^"\\]|\\.)*"|([{}])/g,
  )) {
    if (bracket === '{') open.push(new Set());
    if (bracket === '}') open.pop();
    if (string === undefined) continue;
    const key: string = JSON.parse(string);
    const keys = open.at(-1);
    if (keys?.has(key)) return key;
    keys?.add(key);
  }
  return null;
}

function parseEntry(entry: unknown, dataStart: number, label: string): TensorEntry {
  if (!isObject(entry)) throw bad(label, 'is not described by an object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype))
    throw bad(label, `has dtype ${quote(dtype)}, expected one of ${Object.keys(DTYPE_BYTES)}`);
  if (!isCounts(shape) || shape.length > MAX_RANK)
    throw bad(label, `has shape ${quote(shape)}, expected up to ${MAX_RANK} counts`);
  if (!isCounts(offsets) || offsets.length !== 2)
    throw bad(label, `has data_offsets ${quote(offsets)}, expected a start and an end`);
  const [start = 0, end = 0] = offsets;
  const sizeBytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
  if (end - start !== sizeBytes)
    throw bad(label, `holds ${end - start} bytes, ${dtype} ${quote(shape)} needs ${sizeBytes}`);
  if (start % DTYPE_BYTES[dtype] !== 0)
    throw bad(label, `starts at byte ${start} of the data, which is misaligned for ${dtype}`);
  return { dtype, shape, offsetBytes: dataStart + start, sizeBytes };
}

/** Tensors must follow each other without gap or overlap and end where the file ends. */
function checkLayout(
  tensors: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  fileBytes: number,
  label: string,
): void {
  let end = dataStart;
  const inOrder = [...tensors].sort(
    ([, a], [, b]) => a.offsetBytes - b.offsetBytes || a.sizeBytes - b.sizeBytes,
  );
  for (const [name, { offsetBytes, sizeBytes }] of inOrder) {
    if (offsetBytes !== end) {
      const fault = offsetBytes < end ? 'overlaps the tensor before it' : 'leaves a gap before it';
      throw bad(`${label}, tensor ${quote(name)}`, `${fault} at byte ${offsetBytes}`);
    }
    end += sizeBytes;
  }
  if (end > fileBytes)
    throw bad(label, `is cut off: ${fileBytes} bytes, its tensors end at ${end}`);
  if (end < fileBytes) throw bad(label, `has ${fileBytes - end} bytes after its last tensor`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStringMap(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((item) => typeof item === 'string');
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BYTES, value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function quote(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 200);
}

function bad(label: string, problem: string, cause?: unknown): AppError {
  return badFile(`${label} ${problem}`, cause);
}
