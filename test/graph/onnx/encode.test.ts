import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildGraph, type Graph } from '../../../src/graph/graph.ts';
import { encodeOnnx } from '../../../src/graph/onnx/encode.ts';
import { add, cast, mul } from '../../../src/graph/ops/elementwise.ts';
import { constant, f32, input, weight } from '../../../src/graph/tensor.ts';
import { GraphError } from '../../../src/graph/verify.ts';
import { HostTensor, hostTensor } from '../../../src/runtime/host-tensor.ts';
import { openSession } from '../../../src/runtime/session.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-encode-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const COUNT = 2048;
const BYTE_OFFSET = 4096;

/** x * w + z, with w (f32) and z (i8) in one file. */
function scaledByWeights(): Graph {
  const w = weight('w', 'f32', [COUNT], { file: 'weights.bin', byteOffset: BYTE_OFFSET });
  const z = weight('z', 'i8', [COUNT], { file: 'weights.bin', byteOffset: 0 });
  return buildGraph('g', { y: add(mul(input('x', 'f32', [1]), w), cast(z, 'f32')) });
}

async function writeWeights(): Promise<{ w: Float32Array; z: Int8Array }> {
  const w = Float32Array.from({ length: COUNT }, (_, at) => at / 8);
  const z = Int8Array.from({ length: COUNT }, (_, at) => at % 100);
  const file = new Uint8Array(BYTE_OFFSET + w.byteLength);
  file.set(new Uint8Array(z.buffer), 0);
  file.set(new Uint8Array(w.buffer), BYTE_OFFSET);
  await writeFile(join(folder, 'weights.bin'), file);
  return { w, z };
}

it('leaves weights in their file and finds them beside the model', async () => {
  const { w, z } = await writeWeights();
  const bytes = encodeOnnx(scaledByWeights());
  expect(bytes.byteLength).toBeLessThan(1024);
  const model = join(folder, 'model.onnx');
  await writeFile(model, bytes);

  const session = await openSession(model);
  const { y } = await session.run({ x: hostTensor(Float32Array.of(2), [1]) });
  await session.close();
  expect(y?.data).toEqual(w.map((value, at) => 2 * value + (z[at] ?? 0)));
});

it('finds weights in a given folder when the model comes as bytes', async () => {
  const { w, z } = await writeWeights();
  const session = await openSession(encodeOnnx(scaledByWeights()), { externalDataFolder: folder });
  const { y } = await session.run({ x: hostTensor(Float32Array.of(-1), [1]) });
  await session.close();
  expect(y?.data).toEqual(w.map((value, at) => (z[at] ?? 0) - value));
});

it('makes a model that is refused, with the reason, when its weights are cut short', async () => {
  await writeFile(join(folder, 'weights.bin'), new Uint8Array(BYTE_OFFSET + 8));
  const opening = openSession(encodeOnnx(scaledByWeights()), { externalDataFolder: folder });
  await expect(opening).rejects.toThrow(/cannot open model .*: .*initializer: w offset: 4096/s);
});

it('keeps constants of every type in the model, bit by bit', async () => {
  const constants = {
    f32: f32([2], [-0, 1.5]),
    i64: constant('i64', [2, 1], [-(2 ** 40), 3]),
    i32: constant('i32', [2], [-7, 8]),
    i8: constant('i8', [2], [-128, 127]),
    u8: constant('u8', [2], [0, 255]),
    f16: constant('f16', [2], Uint16Array.of(0x3c00, 0xc000)),
    bool: constant('bool', [2], [0, 1]),
    fromF16: cast(constant('f16', [2], Uint16Array.of(0x3c00, 0xc000)), 'f32'),
  };
  const session = await openSession(encodeOnnx(buildGraph('g', constants)));
  const results = await session.run({});
  await session.close();
  expect(results.f32?.data).toEqual(Float32Array.of(-0, 1.5));
  expect(results.i64?.data).toEqual(BigInt64Array.of(-(2n ** 40n), 3n));
  expect(results.i64?.dims).toEqual([2, 1]);
  expect(results.i32?.data).toEqual(Int32Array.of(-7, 8));
  expect(results.i8?.data).toEqual(Int8Array.of(-128, 127));
  expect(results.u8?.data).toEqual(Uint8Array.of(0, 255));
  expect(results.f16?.data).toEqual(Uint16Array.of(0x3c00, 0xc000));
  expect(results.fromF16?.data).toEqual(Float32Array.of(1, -2));
  expect(results.bool?.data).toEqual(Uint8Array.of(0, 1));
});

it('gives the same bytes for the same graph', () => {
  expect(encodeOnnx(scaledByWeights())).toEqual(encodeOnnx(scaledByWeights()));
});

it('refuses a graph that is broken', () => {
  const graph = scaledByWeights();
  expect(() => encodeOnnx({ ...graph, nodes: graph.nodes.toReversed() })).toThrow(GraphError);
});

it('computes an output on demand only where it is asked for', async () => {
  const x = input('x', 'f32', ['N']);
  const doubled = mul(x, constant('f32', [], [2]));
  const graph = buildGraph('g', { y: add(doubled, x), z: mul(mul(doubled, x), x) });
  const session = await openSession(encodeOnnx(graph, { condition: 'wanted', outputs: ['z'] }));
  const run = (wanted: number) =>
    session.run({
      x: hostTensor(Float32Array.of(1, 2), [2]),
      wanted: new HostTensor('bool', Uint8Array.of(wanted), []),
    });
  const [asked, unasked] = [await run(1), await run(0)];
  await session.close();
  expect(asked.y?.data).toEqual(Float32Array.of(3, 6));
  expect(asked.z?.data).toEqual(Float32Array.of(2, 16));
  expect(unasked.y?.data).toEqual(Float32Array.of(3, 6));
  expect(unasked.z?.dims).toEqual([0]);
});
