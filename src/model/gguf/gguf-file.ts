// Opens GGUF files: metadata, and tensors as float32. Knows nothing of what the tensors are for.

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  GGMLQuantizationType,
  type GGUFParseOutput,
  type GGUFTensorInfo,
  type GGUFTypedMetadata,
  gguf,
  type MetadataValue,
  serializeGgufMetadata,
} from '@huggingface/gguf';
import { badFile } from '../bad-file.ts';
import { readFileRange } from '../file-range.ts';
import { QUANT_TYPES, type QuantType } from './dequantise.ts';

/** Where a tensor is in the file and how its numbers are stored. */
interface GgufTensor {
  readonly type: QuantType;
  /** Row-major, outermost first: a matrix is [rows, columns]. (The file lists dimensions the other way round.) */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** An open GGUF file; holds no file handle. */
export interface GgufFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, MetadataValue>>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** The tensor's numbers: f32, row-major, memory of their own. Throws BAD_INPUT for an unknown name. */
  read(name: string): Float32Array;
}

/** magic, version, two counts */
const MIN_BYTES = 24;
/** ggml's own limit; more would be products over endless lists. */
const MAX_RANK = 4;
/** Alignment is a small power of two; another would make offsets meaningless. */
const MAX_ALIGNMENT = 1 << 16;
const DEFAULT_ALIGNMENT = 32;

/** Opens the file and checks all of its header, so that damage is found before any work.
 *  Throws BAD_INPUT naming the file and the tensor. Counts, strings and lists are limited by the parser. */
export async function openGguf(path: string): Promise<GgufFile> {
  const { size } = await stat(path);
  if (size < MIN_BYTES) throw badFile(`${path} is ${size} bytes long, too short for a GGUF file`);
  const parsed = await parse(path);
  if (!parsed.littleEndian) throw badFile(`${path} is big-endian, expected little-endian numbers`);
  checkHeader(path, size, parsed);
  const tensors = placeTensors(path, size, parsed);
  return {
    path,
    metadata: parsed.metadata as unknown as Record<string, MetadataValue>,
    tensors,
    read: (name) => readTensor(path, name, tensors.get(name)),
  };
}

type Parsed = GGUFParseOutput & { typedMetadata: GGUFTypedMetadata };

async function parse(path: string): Promise<Parsed> {
  try {
    // an absolute path cannot be taken for a URL
    return await gguf(resolve(path), { allowLocalFile: true, typedMetadata: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw badFile(`${path} is not a GGUF file that can be read: ${reason}`, error);
  }
}

/** The parser takes what lies beyond the end of a truncated file for zeros, cuts a string that ends at the border of what
 *  it has read so far, and lets a repeated key win. Writing the metadata again finds all three: it must give the same bytes. */
function checkHeader(path: string, size: number, parsed: Parsed): void {
  const [infosStart, infosEnd] = parsed.tensorInfoByteRange;
  if (infosEnd > size)
    throw badFile(`${path} is cut off: ${size} bytes, its header needs ${infosEnd}`);
  const original = readFileRange(path, 0, infosStart);
  if (!rewrite(parsed.typedMetadata)?.subarray(0, infosStart).equals(original))
    throw badFile(
      `${path} has damaged or ambiguous metadata: it does not read back as it is written`,
    );
}

/** Null for metadata that cannot be written at all. */
function rewrite(metadata: GGUFTypedMetadata): Buffer | null {
  try {
    return Buffer.from(serializeGgufMetadata(metadata));
  } catch {
    return null;
  }
}

function placeTensors(path: string, size: number, parsed: Parsed): Map<string, GgufTensor> {
  const dataStart = Number(parsed.tensorDataOffset);
  const alignment = alignmentOf(path, parsed);
  const tensors = new Map<string, GgufTensor>();
  for (const info of parsed.tensorInfos) {
    const label = `${path}, tensor ${JSON.stringify(info.name)}`;
    if (tensors.has(info.name)) throw badFile(`${label} is there twice`);
    if (Number(info.offset) % alignment !== 0)
      throw badFile(`${label} starts at ${info.offset}, which is not a multiple of ${alignment}`);
    tensors.set(info.name, placeTensor(label, info, dataStart));
  }
  checkPlaces(path, size, tensors);
  return tensors;
}

function alignmentOf(path: string, parsed: Parsed): number {
  const alignment = Number(parsed.typedMetadata['general.alignment']?.value ?? DEFAULT_ALIGNMENT);
  const isPowerOfTwo = Number.isInteger(Math.log2(alignment));
  if (!isPowerOfTwo || alignment > MAX_ALIGNMENT)
    throw badFile(
      `${path}: general.alignment is ${alignment}, expected a power of two up to ${MAX_ALIGNMENT}`,
    );
  return alignment;
}

function placeTensor(label: string, info: GGUFTensorInfo, dataStart: number): GgufTensor {
  const type = QUANT_TYPES.get(info.dtype);
  if (type === undefined) {
    const known = [...QUANT_TYPES.values()].map(({ name }) => name).join(', ');
    const given = GGMLQuantizationType[info.dtype] ?? info.dtype;
    throw badFile(`${label} is stored as ${given}, expected one of ${known}`);
  }
  const shape = info.shape.map(Number).reverse();
  const rowLength = shape.at(-1) ?? 0;
  const count = shape.reduce((product, length) => product * length, 1);
  const isPossible = shape.length <= MAX_RANK && count > 0 && Number.isSafeInteger(count);
  if (!isPossible || rowLength % type.blockLength !== 0)
    throw badFile(`${label} has shape [${shape}], which ${type.name} cannot store`);
  const sizeBytes = (count / type.blockLength) * type.blockBytes;
  return { type, shape, offsetBytes: dataStart + Number(info.offset), sizeBytes };
}

function checkPlaces(path: string, size: number, tensors: ReadonlyMap<string, GgufTensor>): void {
  let end = 0;
  for (const [name, { offsetBytes, sizeBytes }] of [...tensors].sort(
    ([, a], [, b]) => a.offsetBytes - b.offsetBytes,
  )) {
    const label = `${path}, tensor ${JSON.stringify(name)}`;
    if (offsetBytes < end) throw badFile(`${label} overlaps the tensor before it`);
    end = offsetBytes + sizeBytes;
    if (end > size)
      throw badFile(`${label} ends at byte ${end}, but the file is cut off at ${size}`);
  }
}

function readTensor(path: string, name: string, tensor: GgufTensor | undefined): Float32Array {
  if (tensor === undefined) throw badFile(`${path} has no tensor ${name}`);
  const bytes = readFileRange(path, tensor.offsetBytes, tensor.sizeBytes);
  if (bytes.length !== tensor.sizeBytes)
    throw badFile(`${path}, tensor ${name}: the file has become shorter since it was opened`);
  return tensor.type.decode(bytes);
}
