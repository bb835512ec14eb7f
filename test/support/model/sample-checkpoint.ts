// A Llama checkpoint of a few kilobytes with random weights, as an object, as a Hugging Face folder and as a GGUF file.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../../../src/lib/errors.ts';
import type { LlamaCheckpoint } from '../../../src/model/checkpoint.ts';
import { toHfConfig } from '../../../src/model/hf/hf-config.ts';
import { type LlamaConfig, llamaTensors } from '../../../src/model/llama-config.ts';
import type { Dtype } from '../../../src/model/safetensors/safetensors-header.ts';
import {
  encodeSafetensors,
  type TensorData,
} from '../../../src/model/safetensors/safetensors-writer.ts';
import { BYTE_CHARACTERS } from '../../../src/model/tokenizer/byte-level.ts';
import { encodeGguf, type GgufTensorInput, type GgufValue } from './gguf-writer.ts';
import { randomNumbers } from './random-llama.ts';

/** Special tokens first, then every byte, then a few words: byte-level BPE as SmolLM2's. */
const SPECIALS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<repo_name>'];
const MERGES = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', 'u s', 'us e', 'use r', 'Ċ Ċ'];
const TOKENS = [...SPECIALS, ...BYTE_CHARACTERS, ...MERGES.map((merge) => merge.replace(' ', ''))];

/** SmolLM2's chat template in other words: ChatML with a system message of its own. */
export const CHAT_TEMPLATE =
  "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}" +
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

export const SAMPLE_CONFIG: LlamaConfig = {
  hiddenSize: 32,
  layerCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 8,
  intermediateSize: 64,
  vocabSize: TOKENS.length,
  rmsEps: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  contextLength: 128,
  tiedEmbeddings: true,
  bosTokenId: 1,
  eosTokenIds: [2],
};

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };

/** A tokenizer.json as Hugging Face's trainer writes it. */
export const SAMPLE_TOKENIZER: LlamaCheckpoint['tokenizerJson'] = {
  version: '1.0',
  normalizer: null,
  post_processor: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { ...BYTE_LEVEL, use_regex: true },
    ],
  },
  decoder: { ...BYTE_LEVEL, use_regex: true },
  added_tokens: SPECIALS.map((content, id) => ({ id, content, special: true })),
  model: {
    type: 'BPE',
    unk_token: '<|endoftext|>',
    vocab: Object.fromEntries(TOKENS.map((token, id) => [token, id])),
    merges: MERGES,
  },
};

/** A checkpoint with random weights that half precision can hold exactly; equal seeds give equal weights. */
export function sampleCheckpoint(
  config: LlamaConfig = SAMPLE_CONFIG,
  seed = 1,
): LlamaCheckpoint & { readonly tensors: ReadonlyMap<string, Float32Array> } {
  const random = randomNumbers(seed);
  const tensors = new Map(
    [...llamaTensors(config)].map(([name, shape]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      return [name, Float32Array.from({ length }, () => (Math.floor(random() * 255) - 127) / 64)];
    }),
  );
  return {
    name: 'sample',
    config,
    tensors,
    tokenizerJson: SAMPLE_TOKENIZER,
    tokenizerConfig: {
      bos_token: '<|im_start|>',
      eos_token: '<|im_end|>',
      chat_template: CHAT_TEMPLATE,
    },
    tensor: (name) => must(tensors.get(name), name),
  };
}

/** Writes the checkpoint as a Hugging Face folder, its tensors dealt out to `shardCount` files. */
export function writeHfFolder(
  dir: string,
  checkpoint: LlamaCheckpoint,
  { dtype = 'F32', shardCount = 1 }: { dtype?: Dtype; shardCount?: number } = {},
): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'config.json'), JSON.stringify(toHfConfig(checkpoint.config)));
  writeFileSync(join(dir, 'tokenizer.json'), JSON.stringify(checkpoint.tokenizerJson));
  writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify(checkpoint.tokenizerConfig));
  const names = [...llamaTensors(checkpoint.config).keys()];
  const shards = Array.from({ length: shardCount }, (_, shard) =>
    names.filter((_name, i) => i % shardCount === shard),
  );
  const fileName = (shard: number) =>
    shardCount === 1
      ? 'model.safetensors'
      : `model-${String(shard + 1).padStart(5, '0')}-of-${String(shardCount).padStart(5, '0')}.safetensors`;
  shards.forEach((shard, i) => {
    const tensors = new Map(shard.map((name) => [name, tensorData(checkpoint, name, dtype)]));
    writeFileSync(join(dir, fileName(i)), encodeSafetensors(tensors, { format: 'pt' }));
  });
  if (shardCount === 1) return;
  const map = shards.flatMap((shard, i) => shard.map((name) => [name, fileName(i)]));
  const index = { metadata: {}, weight_map: Object.fromEntries(map) };
  writeFileSync(join(dir, 'model.safetensors.index.json'), JSON.stringify(index));
}

function tensorData(checkpoint: LlamaCheckpoint, name: string, dtype: Dtype): TensorData {
  const shape = must(llamaTensors(checkpoint.config).get(name), name);
  const numbers = checkpoint.tensor(name);
  if (dtype === 'F32') return { dtype, shape, data: numbers };
  const bits = dtype === 'F16' ? halfBits : bfloatBits;
  return { dtype, shape, data: new Uint8Array(Uint16Array.from(numbers, bits).buffer) };
}

/** For numbers that are exact in half precision and neither subnormal nor infinite. */
function halfBits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const fraction = (Math.abs(value) / 2 ** exponent - 1) * 0x400;
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | fraction;
}

/** For numbers that are exact in bfloat16. */
function bfloatBits(value: number): number {
  return must(new Uint32Array(Float32Array.of(value).buffer)[0], 'bits') >>> 16;
}

/** The metadata of the checkpoint as llama.cpp's converter writes it. */
export function ggufMetadata(checkpoint: LlamaCheckpoint): [string, GgufValue][] {
  const { config } = checkpoint;
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const f32 = (value: number): GgufValue => ({ type: 'f32', value });
  const text = (value: string): GgufValue => ({ type: 'string', value });
  const types = TOKENS.map((token) => (SPECIALS.includes(token) ? 3 : 1));
  return [
    ['general.architecture', text('llama')],
    ['general.name', text('Sample')],
    ['llama.block_count', u32(config.layerCount)],
    ['llama.context_length', u32(config.contextLength)],
    ['llama.embedding_length', u32(config.hiddenSize)],
    ['llama.feed_forward_length', u32(config.intermediateSize)],
    ['llama.attention.head_count', u32(config.headCount)],
    ['llama.attention.head_count_kv', u32(config.kvHeadCount)],
    ['llama.attention.key_length', u32(config.headSize)],
    ['llama.rope.dimension_count', u32(config.headSize)],
    ['llama.rope.freq_base', f32(config.ropeTheta)],
    ['llama.attention.layer_norm_rms_epsilon', f32(config.rmsEps)],
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('smollm')],
    ['tokenizer.ggml.tokens', { type: 'strings', value: TOKENS }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: types }],
    ['tokenizer.ggml.merges', { type: 'strings', value: MERGES }],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(2)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
    ['tokenizer.chat_template', text(CHAT_TEMPLATE)],
  ];
}

const GGUF_NAMES: readonly (readonly [hf: RegExp, gguf: string])[] = [
  [/^model\.embed_tokens/, 'token_embd'],
  [/^model\.norm/, 'output_norm'],
  [/^lm_head/, 'output'],
  [/^model\.layers\./, 'blk.'],
  [/self_attn\.o_proj/, 'attn_output'],
  [/self_attn\.(.)_proj/, 'attn_$1'],
  [/mlp\.(.+)_proj/, 'ffn_$1'],
  [/input_layernorm/, 'attn_norm'],
  [/post_attention_layernorm/, 'ffn_norm'],
];

/** The tensors of the checkpoint as llama.cpp's converter writes them, in float32. */
export function ggufTensors(checkpoint: LlamaCheckpoint): GgufTensorInput[] {
  const { hiddenSize, headSize } = checkpoint.config;
  return [...llamaTensors(checkpoint.config)].map(([name, shape]) => {
    const rotated = /\.[qk]_proj/.test(name);
    const numbers = rotated
      ? pairsFromHalves(checkpoint.tensor(name), headSize, hiddenSize)
      : checkpoint.tensor(name);
    const ggufName = GGUF_NAMES.reduce((text, [hf, gguf]) => text.replace(hf, gguf), name);
    return {
      name: ggufName,
      type: 0,
      shape,
      bytes: new Uint8Array(Float32Array.from(numbers).buffer),
    };
  });
}

/** Writes the checkpoint as a GGUF file. */
export function writeGgufFile(path: string, checkpoint: LlamaCheckpoint): void {
  writeFileSync(path, encodeGguf(ggufMetadata(checkpoint), ggufTensors(checkpoint)));
}

/** The converter's order of rows: reshape(heads, 2, D / 2, H), swap the two axes in the middle. */
function pairsFromHalves(rows: Float32Array, D: number, H: number): Float32Array {
  const heads = rows.length / (D * H);
  const out: number[] = [];
  for (let head = 0; head < heads; head += 1)
    for (let i = 0; i < D / 2; i += 1)
      for (let half = 0; half < 2; half += 1) {
        const row = head * D + half * (D / 2) + i;
        out.push(...rows.subarray(row * H, (row + 1) * H));
      }
  return Float32Array.from(out);
}
