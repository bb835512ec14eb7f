import { mkdirSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/lib/errors.ts';
import { writeBase } from '../../../src/model/base/base-write.ts';
import { openGgufCheckpoint } from '../../../src/model/gguf/gguf-checkpoint.ts';
import { openHfCheckpoint } from '../../../src/model/hf/hf-checkpoint.ts';
import { llamaTensors } from '../../../src/model/llama-config.ts';
import {
  encodeGguf,
  type GgufTensorInput,
  type GgufValue,
} from '../../support/model/gguf-writer.ts';
import {
  ggufMetadata,
  ggufTensors,
  SAMPLE_CONFIG,
  sampleCheckpoint,
  writeGgufFile,
  writeHfFolder,
} from '../../support/model/sample-checkpoint.ts';
import { useTemporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = useTemporaryFolder();

test('config, numbers and tokenizer come out as Hugging Face has them', async () => {
  const original = sampleCheckpoint();
  const path = inFolder('sample.gguf');
  writeGgufFile(path, original);
  const checkpoint = await openGgufCheckpoint(path);
  expect(checkpoint.name).toBe('sample');
  expect(checkpoint.config).toEqual(SAMPLE_CONFIG);
  expect(checkpoint.tokenizerJson.model.vocab).toEqual(original.tokenizerJson.model.vocab);
  expect(checkpoint.tokenizerJson.added_tokens).toMatchObject(original.tokenizerJson.added_tokens);
  expect(checkpoint.tokenizerConfig).toMatchObject(original.tokenizerConfig);
  for (const name of llamaTensors(SAMPLE_CONFIG).keys())
    expect(checkpoint.tensor(name), name).toEqual(original.tensor(name));
});

test("the converter's order of the rows of q and k is undone for any heads", async () => {
  const shapes = fc.record({
    kvHeadCount: fc.integer({ min: 1, max: 3 }),
    groups: fc.integer({ min: 1, max: 3 }),
    halfHead: fc.integer({ min: 1, max: 5 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(shapes, async ({ kvHeadCount, groups, halfHead, seed }) => {
      const headCount = kvHeadCount * groups;
      const heads = { kvHeadCount, headCount, headSize: halfHead * 2 };
      const original = sampleCheckpoint({ ...SAMPLE_CONFIG, ...heads, layerCount: 1 }, seed);
      writeGgufFile(inFolder('sample.gguf'), original);
      const checkpoint = await openGgufCheckpoint(inFolder('sample.gguf'));
      for (const name of ['q_proj', 'k_proj', 'v_proj'].map(
        (n) => `model.layers.0.self_attn.${n}.weight`,
      ))
        expect(checkpoint.tensor(name), name).toEqual(original.tensor(name));
    }),
    { numRuns: 25 },
  );
});

test('a head of its own makes the embeddings untied', async () => {
  const original = sampleCheckpoint({ ...SAMPLE_CONFIG, tiedEmbeddings: false });
  writeGgufFile(inFolder('sample.gguf'), original);
  const checkpoint = await openGgufCheckpoint(inFolder('sample.gguf'));
  expect(checkpoint.config.tiedEmbeddings).toBe(false);
  expect(checkpoint.tensor('lm_head.weight')).toEqual(original.tensor('lm_head.weight'));
});

test('the same model gives the same base from GGUF and from a Hugging Face folder', async () => {
  const original = sampleCheckpoint();
  writeGgufFile(inFolder('sample.gguf'), original);
  const fromGguf = await openGgufCheckpoint(inFolder('sample.gguf'));
  // the two files word the tokenizer differently, so give both the same words
  writeHfFolder(
    inFolder('hf'),
    { ...fromGguf, tensor: original.tensor },
    { dtype: 'F16', shardCount: 2 },
  );
  const fromFolder = await openHfCheckpoint(inFolder('hf'));
  const hashes: string[] = [];
  for (const [name, checkpoint] of [
    ['a', fromGguf],
    ['b', fromFolder],
  ] as const) {
    mkdirSync(inFolder(name));
    hashes.push(await writeBase(checkpoint, inFolder(name), () => undefined));
  }
  expect(hashes[0]).toBe(hashes[1]);
});

describe('a model that would be computed wrongly is refused', () => {
  type Metadata = [string, GgufValue][];
  const text = (value: string): GgufValue => ({ type: 'string', value });
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const set =
    (key: string, value: GgufValue) =>
    (metadata: Metadata): Metadata => [...metadata.filter(([k]) => k !== key), [key, value]];
  const drop = (key: string) => (metadata: Metadata) => metadata.filter(([k]) => k !== key);
  const bias: GgufTensorInput = {
    name: 'blk.0.attn_q.bias',
    type: 0,
    shape: [1],
    bytes: new Uint8Array(4),
  };

  const cases: [fault: string, change: (metadata: Metadata) => Metadata, message: RegExp][] = [
    [
      'another architecture',
      set('general.architecture', text('qwen2')),
      /general\.architecture is qwen2/,
    ],
    [
      'no layer count',
      drop('llama.block_count'),
      /llama\.block_count is missing, expected a number/,
    ],
    ['a layer too many', set('llama.block_count', u32(3)), /has no tensor blk\.2\./],
    [
      'a layer too few',
      set('llama.block_count', u32(1)),
      /has a tensor blk\.1\..*, which a plain Llama/,
    ],
    [
      'another hidden size',
      set('llama.embedding_length', u32(40)),
      /is \[\d+,32\], expected \[\d+,40\]/,
    ],
    [
      'partly rotated heads',
      set('llama.rope.dimension_count', u32(4)),
      /rope\.dimension_count is 4/,
    ],
    ['scaled positions', set('llama.rope.scaling.type', text('yarn')), /scaling\.type is yarn/],
    [
      'a tokenizer that is not BPE',
      set('tokenizer.ggml.model', text('llama')),
      /tokenizer\.ggml\.model is llama/,
    ],
    [
      'an unknown way to cut words',
      set('tokenizer.ggml.pre', text('toString')),
      /expected one of gpt-2, smollm, llama-bpe/,
    ],
    [
      'too few token types',
      set('tokenizer.ggml.token_type', { type: 'i32s', value: [3] }),
      /token_type is 3, expected \d+/,
    ],
    [
      'an end token out of range',
      set('tokenizer.ggml.eos_token_id', u32(9999)),
      /token id 9999 is outside/,
    ],
  ];

  test.each(cases)('%s', async (_, change, message) => {
    const original = sampleCheckpoint();
    const bytes = encodeGguf(change(ggufMetadata(original)), ggufTensors(original));
    writeFileSync(inFolder('the.gguf'), bytes);
    const attempt = openGgufCheckpoint(inFolder('the.gguf'));
    await expect(attempt).rejects.toThrow(AppError);
    await expect(attempt).rejects.toThrow(message);
  });

  test('a tensor that we would not use', async () => {
    const original = sampleCheckpoint();
    const bytes = encodeGguf(ggufMetadata(original), [...ggufTensors(original), bias]);
    writeFileSync(inFolder('the.gguf'), bytes);
    await expect(openGgufCheckpoint(inFolder('the.gguf'))).rejects.toThrow(
      /blk\.0\.attn_q\.bias, which a plain Llama/,
    );
  });
});
