import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPeftFolder, writePeftFolder } from '../../src/adapters/peft.ts';
import { parseCoded } from '../../src/adapters/peft-content.ts';
import { encodeWireFile } from '../../src/adapters/wire-file.ts';
import { must } from '../../src/lib/errors.ts';
import { LORA_MODULES, type LoraAdapter } from '../../src/model/lora/lora.ts';
import { packLora } from '../../src/model/lora/lora-stack.ts';
import { decodeLoraWire, readLoraWire, roundLora } from '../../src/model/lora/lora-wire.ts';
import { randomAdapter, SMALL_CONFIG } from '../support/model/random-llama.ts';

const BASE = { sha256: 'base', name: 'base', config: SMALL_CONFIG };
/** Large enough for any weight, and a float. */
const LARGE = 2 ** 100;
const SHAPE = { rank: 4, alpha: 8, modules: LORA_MODULES };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'attune-wire-'));
});
afterAll(() => rm(root, { recursive: true }));

const contentOf = async (dir: string, wire: Uint8Array) => ({
  ...{ wire, wireLabel: 'adapter_model.int8', configLabel: 'adapter_config.json' },
  configText: await readFile(join(dir, 'adapter_config.json'), 'utf8'),
});

let folders = 0;
const write = async (adapter: LoraAdapter) => {
  folders += 1;
  const dir = join(root, String(folders));
  await writePeftFolder(dir, adapter, BASE);
  return { dir, bytes: await readFile(join(dir, 'adapter_model.safetensors')) };
};

/** An adapter with these numbers in place of its own, over and over. */
const filledWith = (numbers: readonly number[]): LoraAdapter => {
  const { shape, tensors } = randomAdapter(SMALL_CONFIG, SHAPE, 1);
  const fill = (values: Float32Array) => values.map((_, i) => numbers[i % numbers.length] ?? 0);
  return { shape, tensors: tensors.map((one) => ({ ...one, a: fill(one.a), b: fill(one.b) })) };
};

describe('the wire form of an adapter', () => {
  it('is decoded to the very bytes of the canonical file, in about a quarter of them', async () => {
    const rounded = roundLora(randomAdapter(SMALL_CONFIG, SHAPE, 3));
    const { dir, bytes } = await write(rounded);
    const wire = encodeWireFile(bytes);
    expect(Buffer.from(decodeLoraWire(wire ?? new Uint8Array(0)))).toEqual(bytes);
    const numbers = rounded.tensors.reduce((sum, { a, b }) => sum + a.length + b.length, 0);
    const scales = 4 * SHAPE.rank * 2 * rounded.tensors.length;
    expect((wire?.length ?? 0) - numbers - scales).toBeLessThan(600);
    // the canonical file is what PEFT reads
    expect(await readPeftFolder(dir, BASE)).toEqual(rounded);
  });

  it('can say every rounded adapter, whatever its numbers', async () => {
    const number = fc.float({ noNaN: true, noDefaultInfinity: true, min: -LARGE, max: LARGE });
    await fc.assert(
      fc.asyncProperty(fc.array(number, { minLength: 1, maxLength: 7 }), async (numbers) => {
        const rounded = roundLora(filledWith(numbers));
        expect(roundLora(rounded)).toEqual(rounded);
        const { bytes } = await write(rounded);
        const wire = encodeWireFile(bytes);
        expect(wire && Buffer.from(decodeLoraWire(wire)).equals(bytes)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('rounds by at most half of 1/127 of the largest number of the rank', () => {
    const exact = randomAdapter(SMALL_CONFIG, SHAPE, 5);
    const rounded = roundLora(exact);
    for (const [n, { a }] of exact.tensors.entries()) {
      const columns = a.length / SHAPE.rank;
      for (let r = 0; r < SHAPE.rank; r += 1) {
        const row = a.subarray(r * columns, (r + 1) * columns);
        const largest = Math.max(...row.map(Math.abs));
        const off = row.map((value, i) =>
          Math.abs(value - (rounded.tensors[n]?.a[r * columns + i] ?? 0)),
        );
        // the scale is rounded up by at most 2^-15
        expect(Math.max(...off)).toBeLessThanOrEqual((largest / 127 / 2) * 1.0001);
      }
    }
  });

  it('does not exist where it would lose something', async () => {
    const { bytes } = await write(randomAdapter(SMALL_CONFIG, SHAPE, 7));
    expect(encodeWireFile(bytes)).toBeNull();
    expect(encodeWireFile(Buffer.from('tensors'))).toBeNull();
    const { bytes: rounded } = await write(roundLora(filledWith([1, -2])));
    expect(encodeWireFile(rounded)).not.toBeNull();
    // a space in the header that our writer does not make
    const text = rounded.toString('latin1').replace('"dtype"', '"dtypf"');
    expect(encodeWireFile(Buffer.from(text, 'latin1'))).toBeNull();
  });

  it('is laid out for the engine with the very bits of the canonical file, whatever alpha / rank is', async () => {
    const shape = { rank: 7, alpha: 3, modules: LORA_MODULES };
    const { dir, bytes } = await write(roundLora(randomAdapter(SMALL_CONFIG, shape, 11)));
    const wire = must(encodeWireFile(bytes), 'a wire form');
    const canonical = packLora(SMALL_CONFIG, await readPeftFolder(dir, BASE), 8);
    expect(packLora(SMALL_CONFIG, parseCoded(await contentOf(dir, wire), BASE), 8)).toEqual(
      canonical,
    );
  });

  it('is refused for the engine when it is not of this config or base, or not finite', async () => {
    const { dir, bytes } = await write(roundLora(randomAdapter(SMALL_CONFIG, SHAPE, 12)));
    const wire = must(encodeWireFile(bytes), 'a wire form');
    const content = await contentOf(dir, wire);
    const parse = (change: Partial<typeof content>, base = BASE) =>
      parseCoded({ ...content, ...change }, base);
    expect(() => parse({ wire: wire.subarray(0, 50) })).toThrow('adapter_model.int8: ');
    expect(() => parse({}, { ...BASE, sha256: 'other' })).toThrow('was trained on base base');
    const config = JSON.parse(content.configText);
    const asked = (fields: object) => JSON.stringify({ ...config, ...fields });
    expect(() => parse({ configText: asked({ r: 8 }) })).toThrow(
      'its shape is [4,64], expected [8,64]',
    );
    expect(() => parse({ configText: asked({ target_modules: ['q_proj'] }) })).toThrow(
      'has 28 tensors, its config 4',
    );
    const { header } = readLoraWire(wire);
    const start =
      wire.length -
      4 * 4 * 28 -
      readLoraWire(wire).matrices.reduce((n, m) => n + m.numbers.length, 0);
    expect(header.rank).toBe(4);
    const broken = Buffer.from(wire);
    broken.writeFloatLE(Number.NaN, start);
    expect(() => parse({ wire: broken })).toThrow('element 0 is NaN');
  });

  it('is refused when it is damaged', async () => {
    const { bytes } = await write(roundLora(filledWith([1, -2])));
    const wire = encodeWireFile(bytes) ?? new Uint8Array(0);
    for (const length of [0, 3, 4, 100, wire.length - 1]) {
      expect(() => decodeLoraWire(wire.slice(0, length))).toThrow(RangeError);
    }
    const other = Buffer.from(wire);
    other.write('{"format":"other"', 4);
    expect(() => decodeLoraWire(other)).toThrow(RangeError);
    const long = Buffer.from(wire);
    long.writeUInt32LE(0xffffffff);
    expect(() => decodeLoraWire(long)).toThrow(/no header of 4294967295/);
  });
});
