import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph } from '../../src/graph/graph.ts';
import { encodeOnnx } from '../../src/graph/onnx/encode.ts';
import { add, mul } from '../../src/graph/ops/elementwise.ts';
import { gather } from '../../src/graph/ops/gather.ts';
import { reduceSum } from '../../src/graph/ops/reduce.ts';
import { input } from '../../src/graph/tensor.ts';
import { type HostTensor, hostTensor } from '../../src/runtime/host-tensor.ts';
import type { Session } from '../../src/runtime/ort-session.ts';
import { openSession } from '../../src/runtime/session.ts';

const table = input('table', 'f32', ['V', 2]);
const rows = gather(table, input('ids', 'i64', ['B', 'S']));
const scale = input('scale', 'f32', ['B', 1, 1]);
const model = encodeOnnx(
  buildGraph('session_test', { rows, scaled: add(mul(rows, scale), reduceSum(table, [0])) }),
);

const feeds = (): Record<string, HostTensor> => ({
  table: hostTensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]),
  ids: hostTensor(BigInt64Array.of(0n, 2n), [2, 1]),
  scale: hostTensor(Float32Array.of(10, 100), [2, 1, 1]),
});

describe('a session', () => {
  let session: Session;
  beforeAll(async () => {
    session = await openSession(model);
  });
  afterAll(() => session.close());

  it('says what it takes and gives', () => {
    expect(Object.fromEntries(session.inputs)).toEqual({
      table: { dtype: 'f32', shape: ['V', 2] },
      ids: { dtype: 'i64', shape: ['B', 'S'] },
      scale: { dtype: 'f32', shape: ['B', 1, 1] },
    });
    expect([...session.outputs.keys()]).toEqual(['rows', 'scaled']);
  });

  it('gives all outputs, or those asked for', async () => {
    const all = await session.run(feeds());
    expect(all.rows?.dims).toEqual([2, 1, 2]);
    expect(all.rows?.data).toEqual(Float32Array.of(1, 2, 5, 6));
    expect(all.scaled?.data).toEqual(Float32Array.of(19, 32, 509, 612));
    expect(Object.keys(await session.run(feeds(), ['rows']))).toEqual(['rows']);
  });

  it('reads a feed where it lies, so that one tensor serves many runs', async () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const reused = { ...feeds(), table: hostTensor(data, [3, 2]) };
    await session.run(reused);
    data[0] = 77;
    expect((await session.run(reused, ['rows'])).rows?.data[0]).toBe(77);
  });

  it('takes a part of a larger array', async () => {
    const arena = Float32Array.of(9, 9, 1, 2, 3, 4, 5, 6, 9);
    const part = { ...feeds(), table: hostTensor(arena.subarray(2, 8), [3, 2]) };
    expect((await session.run(part, ['rows'])).rows?.data).toEqual(Float32Array.of(1, 2, 5, 6));
  });

  it('gives memory of its own, which later runs leave alone', async () => {
    const first = await session.run(feeds(), ['rows']);
    await session.run({ ...feeds(), table: hostTensor(new Float32Array(6), [3, 2]) }, ['rows']);
    expect(first.rows?.data).toEqual(Float32Array.of(1, 2, 5, 6));
  });

  it('takes as much as fits the symbols, from run to run', async () => {
    const larger = {
      table: hostTensor(new Float32Array(8), [4, 2]),
      ids: hostTensor(new BigInt64Array(6), [3, 2]),
      scale: hostTensor(new Float32Array(3), [3, 1, 1]),
    };
    expect((await session.run(larger)).rows?.dims).toEqual([3, 2, 2]);
    expect((await session.run(feeds())).rows?.dims).toEqual([2, 1, 2]);
  });

  const f = (...dims: number[]): HostTensor =>
    hostTensor(new Float32Array(dims.reduce((n, dim) => n * dim, 1)), dims);

  it.each([
    [
      'an element type',
      { table: hostTensor(new Int32Array(6), [3, 2]) },
      "feed 'table' must be f32[V, 2], but is i32[3, 2]",
    ],
    ['a number of axes', { table: f(6) }, "feed 'table' must be f32[V, 2], but is f32[6]"],
    ['a dimension', { table: f(2, 3) }, "feed 'table' must be f32[V, 2], but is f32[2, 3]"],
    [
      'a symbol bound by another feed',
      { scale: f(3, 1, 1) },
      "feed 'scale' must be f32[B, 1, 1], but is f32[3, 1, 1]; B is 2 in feed 'ids'",
    ],
    ['a name', { tabel: f(3, 2) }, "feed 'tabel' is no input; inputs are table, ids, scale"],
  ])('refuses feeds that miss %s', async (_, change, message) => {
    await expect(session.run({ ...feeds(), ...change })).rejects.toThrow(new TypeError(message));
  });

  it('refuses feeds that leave out an input', async () => {
    const { ids, ...others } = feeds();
    expect(ids).toBeDefined();
    await expect(session.run(others)).rejects.toThrow("feed 'ids' is missing; expected i64[B, S]");
  });

  it('refuses fetches that are no outputs', async () => {
    await expect(session.run(feeds(), ['logits'])).rejects.toThrow(
      "fetch 'logits' is no output; outputs are rows, scaled",
    );
    await expect(session.run(feeds(), [])).rejects.toThrow('outputs are rows, scaled');
  });

  it('says so when the model itself fails, and goes on', async () => {
    const outside = { ...feeds(), ids: hostTensor(BigInt64Array.of(0n, 3n), [2, 1]) };
    await expect(session.run(outside)).rejects.toThrow(
      /the model did not run: .*out of (data )?bounds/s,
    );
    expect((await session.run(feeds())).rows?.dims).toEqual([2, 1, 2]);
  });
});

describe('a host tensor', () => {
  it('refuses dimensions that do not fit its elements', () => {
    expect(() => hostTensor(new Float32Array(5), [2, 3])).toThrow(
      'f32[2, 3] needs 6 elements, not 5',
    );
  });

  it.each([
    ['f32', new Float32Array(1)],
    ['f16', new Uint16Array(1)],
    ['i64', new BigInt64Array(1)],
    ['i32', new Int32Array(1)],
    ['i8', new Int8Array(1)],
    ['u8', new Uint8Array(1)],
  ])('is %s by its typed array', (dtype, data) => {
    expect(hostTensor(data, [1]).dtype).toBe(dtype);
  });
});

describe('opening and closing', () => {
  it('names the model that cannot be opened', async () => {
    await expect(openSession('/no/such/model.onnx')).rejects.toThrow(
      'cannot open model /no/such/model.onnx',
    );
    await expect(openSession(new Uint8Array(16))).rejects.toThrow('cannot open model 16 bytes');
  });

  it('opens a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'attune-session-'));
    await writeFile(join(folder, 'model.onnx'), model);
    const session = await openSession(join(folder, 'model.onnx'), {
      threads: 2,
      spinMicroseconds: 100,
      arena: false,
    });
    expect((await session.run(feeds())).rows?.dims).toEqual([2, 1, 2]);
    await session.close();
    await rm(folder, { recursive: true });
  });

  it('lets runs under way finish before it closes, and refuses later ones', async () => {
    const session = await openSession(model);
    const running = session.run(feeds(), ['rows']);
    const closing = session.close();
    await expect(session.run(feeds())).rejects.toThrow('the session is closed');
    expect((await running).rows?.dims).toEqual([2, 1, 2]);
    await closing;
    await session.close();
  });

  it('writes a profile when asked', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'attune-profile-'));
    const session = await openSession(model, { profilePrefix: join(folder, 'profile') });
    await session.run(feeds());
    await session.close();
    const [file = ''] = await readdir(folder);
    expect(JSON.parse(await readFile(join(folder, file), 'utf8'))).toBeInstanceOf(Array);
    await rm(folder, { recursive: true });
  });
});
