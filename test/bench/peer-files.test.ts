// The files that the bench of decoding gives to llama.cpp: read back with our own reader of GGUF.

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Q4_0, Q8_0 } from '../../bench/decode/ggml-blocks.ts';
import { encodeLoraGguf } from '../../bench/decode/lora-gguf.ts';
import { requantise } from '../../bench/decode/peer-model.ts';
import { must } from '../../src/lib/errors.ts';
import { openGguf } from '../../src/model/gguf/gguf-file.ts';
import {
  LORA_MODULES,
  type LoraAdapter,
  linearName,
  moduleSize,
} from '../../src/model/lora/lora.ts';
import { encodeGguf } from '../support/model/gguf-writer.ts';
import { randomAdapter, randomFloats, randomNumbers } from '../support/model/random-llama.ts';
import {
  SAMPLE_CONFIG,
  sampleCheckpoint,
  writeGgufFile,
} from '../support/model/sample-checkpoint.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();

test("an adapter's product added to the GGUF base is the GGUF base of the merged weights", async () => {
  const base = sampleCheckpoint();
  const shape = { rank: 2, alpha: 6, modules: LORA_MODULES };
  const adapter = randomAdapter(SAMPLE_CONFIG, shape, 3);
  writeGgufFile(inFolder('base.gguf'), base);
  const tensors = new Map([...base.tensors, ...mergedTensors(base.tensors, adapter)]);
  writeGgufFile(inFolder('merged.gguf'), {
    ...base,
    tensor: (name) => must(tensors.get(name), name),
  });
  writeFileSync(inFolder('adapter.gguf'), encodeLoraGguf(SAMPLE_CONFIG, adapter));
  const [plain, merged, lora] = await Promise.all(
    ['base', 'merged', 'adapter'].map((name) => openGguf(inFolder(`${name}.gguf`))),
  );
  expect(lora?.metadata).toMatchObject({
    'general.architecture': 'llama',
    'general.type': 'adapter',
    'adapter.type': 'lora',
    'adapter.lora.alpha': 6,
  });
  const names = [...(plain?.tensors.keys() ?? [])].filter((name) =>
    /attn_[^n]|ffn_[^n]/.test(name),
  );
  expect(lora?.tensors.size).toBe(names.length * 2);
  expect(names).toHaveLength(SAMPLE_CONFIG.layerCount * LORA_MODULES.length);
  for (const name of names) {
    const [a, b] = [`${name}.lora_a`, `${name}.lora_b`].map((part) => must(lora, 'it').read(part));
    const weights = must(plain, 'it').read(name);
    const sum = added(weights, { a: must(a, 'A'), b: must(b, 'B'), rank: 2 }, 6 / 2);
    expect(largestGap(sum, must(merged, 'it').read(name)), name).toBeLessThan(1e-5);
  }
});

test.each([Q8_0, Q4_0])(
  'a model in $name has the same numbers, rounded, and metadata',
  async (format) => {
    const values = randomFloats(4 * 64, 0.05, randomNumbers(5));
    const vector = randomFloats(64, 1, randomNumbers(6));
    const f32 = (numbers: Float32Array) => new Uint8Array(numbers.buffer);
    const source = encodeGguf(
      [
        ['general.architecture', { type: 'string', value: 'llama' }],
        ['general.file_type', { type: 'u32', value: 3 }],
        ['tokenizer.ggml.tokens', { type: 'strings', value: ['a', 'é', ''] }],
      ],
      [
        { name: 'embd', type: Q8_0.type, shape: [4, 64], bytes: Q8_0.encode(values) },
        { name: 'matrix', type: Q4_0.type, shape: [4, 64], bytes: Q4_0.encode(values) },
        { name: 'norm', type: 0, shape: [64], bytes: f32(vector) },
      ],
    );
    writeFileSync(inFolder('source.gguf'), source);
    await requantise(inFolder('source.gguf'), format, inFolder('other.gguf'));
    const [before, after] = [
      await openGguf(inFolder('source.gguf')),
      await openGguf(inFolder('other.gguf')),
    ];
    expect(after.metadata).toEqual({
      ...before.metadata,
      'general.file_type': format === Q8_0 ? 7 : 2,
    });
    const types = [...after.tensors].map(([name, { type, shape }]) => [name, type.name, shape]);
    expect(types).toEqual([
      ['embd', 'Q8_0', [4, 64]],
      ['matrix', format.name, [4, 64]],
      ['norm', 'F32', [64]],
    ]);
    expect(after.read('norm')).toEqual(vector);
    // what is a number of the format already stays that number
    expect(largestGap(after.read('embd'), before.read('embd'))).toBeLessThan(1e-4);
    const step = Math.max(...values.map(Math.abs)) / 127;
    expect(largestGap(after.read('matrix'), before.read('matrix'))).toBeLessThan(step);
  },
);

function mergedTensors(
  tensors: ReadonlyMap<string, Float32Array>,
  { shape, tensors: lora }: LoraAdapter,
) {
  const { rank, alpha } = shape;
  return lora.map(({ layer, module, a, b }): [string, Float32Array] => {
    const name = `${linearName(layer, module)}.weight`;
    expect(a.length).toBe(rank * moduleSize(SAMPLE_CONFIG, module).in);
    return [name, added(must(tensors.get(name), name), { a, b, rank }, alpha / rank)];
  });
}

/** W + scale * B A.   W f32[out, in]   a f32[R, in]   b f32[out, R] */
function added(
  weights: Float32Array,
  { a, b, rank }: { a: Float32Array; b: Float32Array; rank: number },
  scale: number,
): Float32Array {
  const inputs = a.length / rank;
  return weights.map((weight, i) => {
    const [row, column] = [Math.floor(i / inputs), i % inputs];
    let product = 0;
    for (let r = 0; r < rank; r += 1)
      product += (b[row * rank + r] as number) * (a[r * inputs + column] as number);
    return weight + scale * product;
  });
}

function largestGap(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))));
}
