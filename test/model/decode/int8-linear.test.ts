import { expect, test } from 'vitest';
import { buildGraph } from '../../../src/graph/graph.ts';
import { encodeOnnx } from '../../../src/graph/onnx/encode.ts';
import { constant, f32, input } from '../../../src/graph/tensor.ts';
import { must } from '../../../src/lib/errors.ts';
import { int8Linear, rowConstants } from '../../../src/model/decode/int8-linear.ts';
import { quantiseColumns } from '../../../src/model/decode/quantise-columns.ts';
import { hostTensor } from '../../../src/runtime/host-tensor.ts';
import { openSession } from '../../../src/runtime/session.ts';
import { randomFloats, randomNumbers } from '../../support/model/random-llama.ts';

const K = 48;
const N = 32;
const random = randomNumbers(11);
// weights of very different sizes, and an output that has none below zero
const weights = randomFloats(N * K, 1, random).map((w, i) => (i < K ? Math.abs(w) : w * (i % 7)));
const { values, scales, zeros } = quantiseColumns(weights, N, K);

async function run(x: Float32Array, rows: number, sign: 'i8' | 'u8' = 'i8'): Promise<Float32Array> {
  const integers = (numbers: Int8Array) =>
    sign === 'i8' ? numbers : Uint8Array.from(numbers, (number) => number + 128);
  const given = input('x', 'f32', ['B', 'S', K]);
  const integerWeights = {
    values: constant(sign, [K, N], integers(values)),
    scales: f32([N], scales),
    zeros: constant(sign, [N], integers(zeros)),
  };
  const y = int8Linear(given, integerWeights, rowConstants(given));
  const session = await openSession(encodeOnnx(buildGraph('linear', { y })));
  const outputs = await session.run({ x: hostTensor(x, [rows, x.length / K / rows, K]) });
  await session.close();
  return must(outputs.y, 'y').data as Float32Array;
}

test('rounds weights to the nearest of 256 steps between the least and the greatest', () => {
  for (let n = 0; n < N; n += 1) {
    const row = weights.subarray(n * K, (n + 1) * K);
    const step = (Math.max(0, ...row) - Math.min(0, ...row)) / 255;
    expect(scales[n]).toBeCloseTo(step, 5);
    for (const [k, weight] of row.entries())
      expect(Math.abs(weightOf(k, n) - weight)).toBeLessThan(step * 0.51);
  }
});

test('keeps weights of zero, and outputs of nothing else', () => {
  const sparse = quantiseColumns(Float32Array.of(0, 3, -1, 0, 0, 0), 2, 3);
  expect(sparse.values[0]).toBe(sparse.zeros[0]);
  expect([1, 3, 5].map((at) => sparse.values[at])).toEqual(Array(3).fill(sparse.zeros[1]));
});

function weightOf(k: number, n: number): number {
  return ((values[k * N + n] as number) - (zeros[n] as number)) * (scales[n] as number);
}

/** Checks every output of the rows of x, each off by at most 1/64,000 of the largest number in each input. */
function expectProducts(x: Float32Array, y: Float32Array): void {
  for (let row = 0; row < x.length / K; row += 1) {
    const own = x.subarray(row * K, (row + 1) * K);
    const most = Math.max(...own.map(Math.abs));
    for (let n = 0; n < N; n += 1) {
      let expected = 0;
      let weightSum = 0;
      for (let k = 0; k < K; k += 1) {
        expected += (own[k] as number) * weightOf(k, n);
        weightSum += Math.abs(weightOf(k, n));
      }
      const bound = (most / 64_000) * weightSum + 1e-5;
      expect(Math.abs((y[row * N + n] as number) - expected)).toBeLessThan(bound);
    }
  }
}

test('multiplies by the rounded weights almost exactly', async () => {
  const x = randomFloats(6 * K, 3, random);
  expectProducts(x, await run(x, 2));
});

test('gives each position the same bits whatever the other positions hold', async () => {
  const own = randomFloats(K, 1, random);
  const alone = await run(own, 1);
  const company = randomFloats(8 * K, 1000, random);
  company.set(own, 5 * K);
  const together = await run(company, 4);
  expect(together.slice(5 * N, 6 * N)).toEqual(alone);
});

test('maps a position of zeros to zeros', async () => {
  expect(await run(new Float32Array(K), 1)).toEqual(new Float32Array(N));
});

test('gives the same bits with unsigned weights', async () => {
  const x = randomFloats(6 * K, 3, random);
  expect(await run(x, 2, 'u8')).toEqual(await run(x, 2, 'i8'));
});
