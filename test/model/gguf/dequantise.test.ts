import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { must } from '../../../src/lib/errors.ts';
import { QUANT_TYPES, type QuantType } from '../../../src/model/gguf/dequantise.ts';

interface Recorded {
  readonly id: number;
  readonly bytes: string;
  readonly float32: string;
}

/** Written by test/oracle/dequantise.py with ggml's own package. */
const RECORDED: Record<string, Recorded> = JSON.parse(
  readFileSync(new URL('../../oracle/recorded/dequantise.json', import.meta.url), 'utf8'),
);

function quantType(name: string): QuantType {
  return must(
    [...QUANT_TYPES.values()].find((type) => type.name === name),
    `type ${name}`,
  );
}

describe.each(Object.entries(RECORDED))('%s', (name, recorded) => {
  test('gives, bit for bit, what ggml gives', () => {
    expect(QUANT_TYPES.get(recorded.id)?.name).toBe(name);
    const decoded = quantType(name).decode(Buffer.from(recorded.bytes, 'base64'));
    expect(Buffer.from(decoded.buffer, decoded.byteOffset, decoded.byteLength)).toEqual(
      Buffer.from(recorded.float32, 'base64'),
    );
  });
});

test('every type that we read is recorded', () => {
  const names = [...QUANT_TYPES.values()].map((type) => type.name);
  expect(names.sort()).toEqual(Object.keys(RECORDED).sort());
});

/** The i-th number of one block, in float64, straight from the definition. */
const REFERENCES: Record<string, (block: DataView, i: number) => number> = {
  F32: (block) => block.getFloat32(0, true),
  F16: (block) => half(block.getUint16(0, true)),
  Q4_0: (block, i) => (nibble(block, 2, i) - 8) * half(block.getUint16(0, true)),
  Q4_1: (block, i) =>
    nibble(block, 4, i) * half(block.getUint16(0, true)) + half(block.getUint16(2, true)),
  Q8_0: (block, i) => block.getInt8(2 + i) * half(block.getUint16(0, true)),
  Q6_K: (block, i) => {
    const lane = i % 32;
    const low = block.getUint8((i < 128 ? 0 : 64) + (i % 64));
    const lowBits = i % 128 < 64 ? low % 16 : Math.floor(low / 16);
    const high = block.getUint8(128 + (i < 128 ? 0 : 32) + lane);
    const highBits = Math.floor(high / 4 ** (Math.floor(i / 32) % 4)) % 4;
    const scale = half(block.getUint16(208, true)) * block.getInt8(192 + Math.floor(i / 16));
    return scale * (lowBits + 16 * highBits - 32);
  },
};

function half(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = Math.floor(bits / 0x400) % 0x20;
  const fraction = (bits % 0x400) / 0x400;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

function nibble(block: DataView, at: number, i: number): number {
  const byte = block.getUint8(at + (i % 16));
  return i < 16 ? byte % 16 : Math.floor(byte / 16);
}

/** Random bytes of one block whose floating point parts are finite. */
function blockBytes(type: QuantType): fc.Arbitrary<Uint8Array> {
  const halves = { F32: 0, F16: 0, Q4_0: 0, Q4_1: 0, Q8_0: 0, Q6_K: 208 }[type.name] ?? 0;
  return fc.uint8Array({ minLength: type.blockBytes, maxLength: type.blockBytes }).map((bytes) => {
    const finite = bytes.slice();
    // the upper byte of a half or a float: an exponent of all ones would be an infinity
    for (const at of [halves + 1, halves + 3]) {
      if (at < finite.length) finite[at] = (finite[at] as number) & 0xbb;
    }
    return finite;
  });
}

describe.each(Object.keys(REFERENCES))('%s', (name) => {
  test('is within one float32 rounding of the float64 definition', () => {
    const type = quantType(name);
    fc.assert(
      fc.property(blockBytes(type), (bytes) => {
        const decoded = type.decode(bytes);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const expected = Array.from({ length: type.blockLength }, (_, i) =>
          Math.fround(must(REFERENCES[name], name)(view, i)),
        );
        expect([...decoded]).toEqual(expected);
      }),
    );
  });
});
