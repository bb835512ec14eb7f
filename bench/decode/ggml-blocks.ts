// The block formats of ggml that the peer's files are written in: float32 in, bytes out. The formulas are those of
// quantize_row_q8_0_ref and quantize_row_q4_0_ref (ggml-quants.c), in float32 throughout, so that the bytes are the
// ones that llama.cpp's own tool would write.

/** Numbers in a block. */
const BLOCK_LENGTH = 32;

/** How a tensor is stored, by ggml's id of the type. */
export interface BlockFormat {
  readonly name: 'Q8_0' | 'Q4_0';
  readonly type: number;
  /** Whole blocks of these numbers, whose count is a multiple of 32. */
  encode(values: Float32Array): Uint8Array;
}

/** f16 scale, 32 signed bytes. */
export const Q8_0: BlockFormat = { name: 'Q8_0', type: 8, encode: encodeWith(34, encodeQ8Block) };

/** f16 scale, 16 bytes of nibbles: the low ones are numbers 0-15, the high ones 16-31. */
export const Q4_0: BlockFormat = { name: 'Q4_0', type: 2, encode: encodeWith(18, encodeQ4Block) };

type EncodeBlock = (values: Float32Array, out: DataView) => void;

function encodeWith(blockBytes: number, encodeBlock: EncodeBlock) {
  return (values: Float32Array): Uint8Array => {
    const count = values.length / BLOCK_LENGTH;
    if (!Number.isInteger(count))
      throw new RangeError(`${values.length} numbers are not whole blocks of ${BLOCK_LENGTH}`);
    const bytes = new Uint8Array(count * blockBytes);
    for (let i = 0; i < count; i += 1) {
      const block = values.subarray(i * BLOCK_LENGTH, (i + 1) * BLOCK_LENGTH);
      encodeBlock(block, new DataView(bytes.buffer, i * blockBytes, blockBytes));
    }
    return bytes;
  };
}

function encodeQ8Block(values: Float32Array, out: DataView): void {
  const scale = Math.fround(Math.abs(greatest(values)) / 127);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  out.setUint16(0, halfBits(scale), true);
  for (const [i, value] of values.entries())
    out.setInt8(2 + i, roundHalfAway(Math.fround(value * inverse)));
}

function encodeQ4Block(values: Float32Array, out: DataView): void {
  const scale = Math.fround(greatest(values) / -8);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  const level = (i: number) =>
    Math.min(15, Math.trunc(Math.fround(Math.fround((values[i] as number) * inverse) + 8.5)));
  out.setUint16(0, halfBits(scale), true);
  for (let i = 0; i < 16; i += 1) out.setUint8(2 + i, level(i) | (level(16 + i) << 4));
}

/** The number that is farthest from zero, with its sign; the first of several. */
function greatest(values: Float32Array): number {
  let found = 0;
  for (const value of values) if (Math.abs(value) > Math.abs(found)) found = value;
  return found;
}

/** C's roundf: halves go away from zero. */
function roundHalfAway(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

/** The half that is nearest to a float32, ties to the even one, as its 16 bits. */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  // half of a step above the greatest half, from where rounding goes to infinity
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const steps = roundHalfEven(size / 2 ** (exponent - 10));
  // 1024 steps more than subnormal: the first carries into the exponent's bits by itself
  return sign | (((exponent + 14) << 10) + steps);
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
