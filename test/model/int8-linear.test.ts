import { expect, test } from 'vitest';
import { buildGraph } from '../../src/graph/graph.ts';
import { encodeOnnx } from '../../src/graph/onnx/encode.ts';
import { constant, f32, input } from '../../src/graph/tensor.ts';
import { must } from '../../src/lib/errors.ts';
import { int8Linear } from '../../src/model/int8-linear.ts';
import { quantiseRows } from '../../src/model/quantise.ts';
import { hostTensor } from '../../src/runtime/host-tensor.ts';
import { openSession } from '../../src/runtime/session.ts';
import { randomFloats, randomNumbers } from '../support/random-llama.ts';

const K = 48;
const N = 32;
const random = randomNumbers(11);
const { values, scales } = quantiseRows(randomFloats(N * K, 1, random), N, K);

async function run(x: Float32Array, rows: number): Promise<Float32Array> {
  const weights = { values: constant('i8', [K, N], values), scales: f32([N], scales) };
  const y = int8Linear(input('x', 'f32', ['B', 'S', K]), weights);
  const session = await openSession(encodeOnnx(buildGraph('linear', { y })));
  const outputs = await session.run({ x: hostTensor(x, [rows, x.length / K / rows, K]) });
  await session.close();
  return must(outputs.y, 'y').data as Float32Array;
}

test('multiplies by the rounded weights almost exactly', async () => {
  const x = randomFloats(6 * K, 3, random);
  const y = await run(x, 2);
  for (let row = 0; row < 6; row += 1) {
    const own = x.subarray(row * K, (row + 1) * K);
    const largest = Math.max(...own.map(Math.abs));
    for (let n = 0; n < N; n += 1) {
      let expected = 0;
      let weightSum = 0;
      for (let k = 0; k < K; k += 1) {
        const weight = (values[k * N + n] as number) * (scales[n] as number);
        expected += (own[k] as number) * weight;
        weightSum += Math.abs(weight);
      }
      const bound = (largest / 64_000) * weightSum + 1e-5;
      expect(Math.abs((y[row * N + n] as number) - expected)).toBeLessThan(bound);
    }
  }
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
