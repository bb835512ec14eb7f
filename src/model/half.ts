// Bytes of 16- and 32-bit floating point numbers as Float32Array. All little-endian, as every file format here has them;
// the typed arrays take the machine's order, and Node runs on little-endian machines only (checked once, below).

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
  throw new Error(
    'this machine is big-endian: model files are little-endian and cannot be read here',
  );

/** The numbers in the bytes: f32[bytes / 4]. Shares memory with the bytes when they are aligned. */
export function float32FromBytes(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

/** IEEE 754 half precision, widened without loss: f32[bytes / 2]. */
export function float32FromHalf(bytes: Uint8Array): Float32Array {
  const halves = words(bytes);
  const table = halfTable();
  const out = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i += 1) out[i] = table[halves[i] as number] as number;
  return out;
}

/** bfloat16, the upper half of a 32-bit float, widened without loss: f32[bytes / 2]. */
export function float32FromBfloat16(bytes: Uint8Array): Float32Array {
  const upper = words(bytes);
  const bits = new Uint32Array(upper.length);
  for (let i = 0; i < upper.length; i += 1) bits[i] = (upper[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

/** The value of one half, given as its 16 bits. */
export function halfValue(bits: number): number {
  return halfTable()[bits] as number;
}

function words(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

let table: Float32Array | undefined;

/** All 65,536 halves: looking one up is several times faster than taking its bits apart. */
function halfTable(): Float32Array {
  table ??= Float32Array.from({ length: 0x10000 }, (_, bits) => decodeHalf(bits));
  return table;
}

function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (0x400 + fraction) * 2 ** (exponent - 25);
}
