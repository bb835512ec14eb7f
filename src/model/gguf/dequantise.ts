// The number formats of GGUF tensors: blocks of bytes in, float32 out. The layouts are those of ggml (ggml-common.h).
// Every product of a small integer and a half is exact in float32, so one rounding on storing gives ggml's own result.

import { float32FromBfloat16, float32FromBytes, float32FromHalf, halfValue } from '../half.ts';

/** How a GGUF tensor type stores its numbers. */
export interface QuantType {
  readonly name: string;
  /** Numbers in a block; a row is a whole count of blocks. */
  readonly blockLength: number;
  readonly blockBytes: number;
  /** The numbers of these whole blocks, in order. */
  decode(bytes: Uint8Array): Float32Array;
}

/** The types we read, by their id in the file. */
export const QUANT_TYPES: ReadonlyMap<number, QuantType> = new Map([
  [0, { name: 'F32', blockLength: 1, blockBytes: 4, decode: float32FromBytes }],
  [1, { name: 'F16', blockLength: 1, blockBytes: 2, decode: float32FromHalf }],
  [30, { name: 'BF16', blockLength: 1, blockBytes: 2, decode: float32FromBfloat16 }],
  [2, blocks('Q4_0', 32, 18, decodeQ4_0)],
  [3, blocks('Q4_1', 32, 20, decodeQ4_1)],
  [8, blocks('Q8_0', 32, 34, decodeQ8_0)],
  [14, blocks('Q6_K', 256, 210, decodeQ6_K)],
]);

/** Writes the numbers of the block at `at` to `out` from `to` on. */
type DecodeBlock = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

function blocks(
  name: string,
  blockLength: number,
  blockBytes: number,
  decodeBlock: DecodeBlock,
): QuantType {
  const decode = (bytes: Uint8Array) => {
    const count = bytes.length / blockBytes;
    const out = new Float32Array(count * blockLength);
    for (let i = 0; i < count; i += 1) decodeBlock(bytes, i * blockBytes, out, i * blockLength);
    return out;
  };
  return { name, blockLength, blockBytes, decode };
}

function half(bytes: Uint8Array, at: number): number {
  return halfValue((bytes[at] as number) | ((bytes[at + 1] as number) << 8));
}

/** f16 scale, 16 bytes of nibbles: low nibbles are numbers 0-15, high nibbles 16-31; a number is (q - 8) scale. */
function decodeQ4_0(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const scale = half(bytes, at);
  for (let i = 0; i < 16; i += 1) {
    const pair = bytes[at + 2 + i] as number;
    out[to + i] = ((pair & 15) - 8) * scale;
    out[to + 16 + i] = ((pair >> 4) - 8) * scale;
  }
}

/** f16 scale, f16 minimum, nibbles as in Q4_0; a number is q scale + minimum. */
function decodeQ4_1(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const scale = half(bytes, at);
  const minimum = half(bytes, at + 2);
  for (let i = 0; i < 16; i += 1) {
    const pair = bytes[at + 4 + i] as number;
    out[to + i] = (pair & 15) * scale + minimum;
    out[to + 16 + i] = (pair >> 4) * scale + minimum;
  }
}

/** f16 scale, 32 signed bytes; a number is q scale. */
function decodeQ8_0(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const scale = half(bytes, at);
  for (let i = 0; i < 32; i += 1) {
    out[to + i] = (((bytes[at + 2 + i] as number) << 24) >> 24) * scale;
  }
}

/** 128 bytes of lower 4 bits, 64 bytes of upper 2 bits, 16 signed scales, f16 scale of the scales.
 *  Two halves of 128 numbers; in each, lane l of 32 holds numbers l, l+32, l+64 and l+96. A number is (q - 32) scale. */
function decodeQ6_K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const superScale = half(bytes, at + 208);
  for (let i = 0; i < 256; i += 1) {
    const lane = i & 31;
    const quarter = (i >> 5) & 3;
    const second = i >> 7;
    const low = bytes[at + second * 64 + (quarter & 1) * 32 + lane] as number;
    const high = bytes[at + 128 + second * 32 + lane] as number;
    const q = ((low >> ((quarter >> 1) * 4)) & 15) | (((high >> (quarter * 2)) & 3) << 4);
    const scale = ((bytes[at + 192 + (i >> 4)] as number) << 24) >> 24;
    out[to + i] = superScale * scale * (q - 32);
  }
}
