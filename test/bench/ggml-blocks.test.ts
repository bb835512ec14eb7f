import { expect, test } from 'vitest';
import { halfBits, Q4_0, Q8_0 } from '../../bench/decode/ggml-blocks.ts';
import { QUANT_TYPES } from '../../src/model/gguf/dequantise.ts';
import { halfValue } from '../../src/model/half.ts';
import { randomFloats, randomNumbers } from '../support/model/random-llama.ts';

/** What the `gguf` package 0.19 for Python writes for the numbers -16 to 15, each times 0.25. */
const RAMP = Float32Array.from({ length: 32 }, (_, i) => (i - 16) * 0.25);
const RAMP_Q8_0 = '082881899199a1a9b1b9c0c8d0d8e0e8f0f8000810182028303840474f575f676f77';
const RAMP_Q4_0 = '0038809191a2a2b3b3c4c4d5d5e6e6f7f7f8';

test('a block of Q8_0 and one of Q4_0 have the very bytes of ggml', () => {
  expect(Buffer.from(Q8_0.encode(RAMP)).toString('hex')).toBe(RAMP_Q8_0);
  expect(Buffer.from(Q4_0.encode(RAMP)).toString('hex')).toBe(RAMP_Q4_0);
});

test.each([Q8_0, Q4_0])('$name reads back within half a step of its scale', (format) => {
  const values = randomFloats(32 * 200, 0.05, randomNumbers(1));
  const type = QUANT_TYPES.get(format.type);
  const back = type?.decode(format.encode(values)) ?? [];
  expect(type?.name).toBe(format.name);
  for (let block = 0; block < 200; block += 1) {
    const at = block * 32;
    const part = values.subarray(at, at + 32);
    const step = Math.max(...part.map(Math.abs)) / (format === Q8_0 ? 127 : 8);
    // Q4_0 has a level less on the side away from its greatest number; the scale is rounded to a half
    const limit = format === Q8_0 ? 0.57 * step : 1.01 * step;
    for (const [i, value] of part.entries())
      expect(Math.abs((back[at + i] ?? Number.NaN) - value)).toBeLessThanOrEqual(limit);
  }
});

test('a block of zeros reads back as zeros', () => {
  const type = QUANT_TYPES.get(Q4_0.type);
  expect(type?.decode(Q4_0.encode(new Float32Array(32))).every((value) => value === 0)).toBe(true);
});

test('numbers that are not whole blocks are refused', () => {
  expect(() => Q8_0.encode(new Float32Array(33))).toThrow('whole blocks');
});

test('every half is its own nearest half, and what lies between two goes to the even one', () => {
  const wrong: number[] = [];
  for (let bits = 0; bits < 0x7c00; bits += 1) {
    const value = halfValue(bits);
    const middle = (value + halfValue(bits + 1)) / 2;
    const isRight =
      halfBits(value) === bits &&
      halfBits(-value) === (bits | 0x8000) &&
      (bits === 0x7bff || halfBits(middle) === bits + (bits & 1));
    if (!isRight) wrong.push(bits);
  }
  expect(wrong).toEqual([]);
  expect([65519, 65520, Number.POSITIVE_INFINITY].map(halfBits)).toEqual([0x7bff, 0x7c00, 0x7c00]);
});
