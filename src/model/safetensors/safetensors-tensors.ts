// The tensors of a safetensors file, one at a time, from wherever its bytes are: a large file needs no more memory than its
// largest tensor. Knows nothing of disks.

import { badFile } from '../bad-file.ts';
import { float32FromBfloat16, float32FromBytes, float32FromHalf } from '../half.ts';
import {
  type Dtype,
  headerLength,
  LENGTH_BYTES,
  parseHeader,
  type SafetensorsHeader,
} from './safetensors-header.ts';

/** An open safetensors file or block of bytes; holds no file handle. */
export interface Safetensors extends SafetensorsHeader {
  /** The tensor's numbers in row-major order, widened to float32; memory of its own.
   *  Throws BAD_INPUT for an unknown name or a type other than F32, F16 and BF16. */
  read(name: string): Float32Array;
}

/** The tensors of bytes in memory; `label` names them in errors. Throws BAD_INPUT naming the tensor. */
export function parseSafetensors(bytes: Uint8Array, label: string): Safetensors {
  return openTensors((offset, length) => bytes.slice(offset, offset + length), bytes.length, label);
}

/** The bytes from `offset` on, fewer at the end of the file; memory of their own. */
type ReadBytes = (offset: number, length: number) => Uint8Array;

/** Checks the header, so that a truncated or damaged file is refused before any work. */
export function openTensors(readBytes: ReadBytes, fileBytes: number, label: string): Safetensors {
  const length = headerLength(readBytes(0, LENGTH_BYTES), fileBytes, label);
  const header = parseHeader(readBytes(LENGTH_BYTES, length), fileBytes, label);
  const read = (name: string) => {
    const entry = header.tensors.get(name);
    if (entry === undefined) throw badFile(`${label} has no tensor ${name}`);
    const widen = WIDEN[entry.dtype];
    if (widen === undefined)
      throw badFile(
        `${label}, tensor ${name}: ${entry.dtype} is not readable, expected F32, F16 or BF16`,
      );
    const bytes = readBytes(entry.offsetBytes, entry.sizeBytes);
    if (bytes.length !== entry.sizeBytes)
      throw badFile(`${label}, tensor ${name}: the file has become shorter since it was opened`);
    return widen(bytes);
  };
  return { ...header, read };
}

const WIDEN: Partial<Record<Dtype, (bytes: Uint8Array) => Float32Array>> = {
  F32: float32FromBytes,
  F16: float32FromHalf,
  BF16: float32FromBfloat16,
};
