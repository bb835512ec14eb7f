// A Llama model in a GGUF file, in the form and layout of Hugging Face.

import { basename } from 'node:path';
import { badFile } from '../bad-file.ts';
import type { LlamaCheckpoint } from '../checkpoint.ts';
import {
  checkLlamaConfig,
  type LlamaConfig,
  llamaTensors,
  type RopeScaling,
} from '../llama-config.ts';
import { type GgufFile, openGguf } from './gguf-file.ts';
import { GgufMetadata } from './gguf-metadata.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';

/** Opens the checkpoint. Throws BAD_INPUT for damage, and for anything but a plain Llama model. */
export async function openGgufCheckpoint(path: string): Promise<LlamaCheckpoint> {
  const file = await openGguf(path);
  const metadata = new GgufMetadata(file);
  const config = readConfig(file, metadata);
  checkTensors(file, config);
  return {
    name: basename(path, '.gguf'),
    config,
    ...ggufTokenizer(metadata),
    tensor: (name) => readTensor(file, name, config),
  };
}

function readConfig(file: GgufFile, metadata: GgufMetadata): LlamaConfig {
  if (metadata.string('general.architecture') !== 'llama')
    metadata.refuse('general.architecture', 'llama: other architectures are not supported');
  const hiddenSize = metadata.number('llama.embedding_length');
  const headCount = metadata.number('llama.attention.head_count');
  const headSize = metadata.number('llama.attention.key_length', hiddenSize / headCount);
  if (metadata.number('llama.rope.dimension_count', headSize) !== headSize)
    metadata.refuse('llama.rope.dimension_count', `${headSize}, the size of a head`);
  const config: LlamaConfig = {
    hiddenSize,
    headCount,
    headSize,
    layerCount: metadata.number('llama.block_count'),
    kvHeadCount: metadata.number('llama.attention.head_count_kv', headCount),
    intermediateSize: metadata.number('llama.feed_forward_length'),
    vocabSize: metadata.strings('tokenizer.ggml.tokens').length,
    rmsEps: shortestDecimal(metadata.number('llama.attention.layer_norm_rms_epsilon')),
    ropeTheta: shortestDecimal(metadata.number('llama.rope.freq_base', 10_000)),
    ropeScaling: ropeScaling(metadata),
    contextLength: metadata.number('llama.context_length'),
    tiedEmbeddings: !file.tensors.has('output.weight'),
    bosTokenId: optionalNumber(metadata, 'tokenizer.ggml.bos_token_id'),
    eosTokenIds: ['eos', 'eot']
      .map((kind) => optionalNumber(metadata, `tokenizer.ggml.${kind}_token_id`))
      .filter((id) => id !== null),
  };
  checkLlamaConfig(config, file.path);
  return config;
}

function optionalNumber(metadata: GgufMetadata, key: string): number | null {
  return metadata.has(key) ? metadata.number(key) : null;
}

function ropeScaling(metadata: GgufMetadata): RopeScaling | null {
  const kind = metadata.string('llama.rope.scaling.type', 'none');
  if (kind === 'none') return null;
  if (kind === 'linear') return { kind, factor: metadata.number('llama.rope.scaling.factor') };
  return metadata.refuse('llama.rope.scaling.type', 'none or linear');
}

/** GGUF stores float32 where the original said 1e-5: the shortest decimal that rounds to the same float32. */
function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits += 1) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

/** A tensor we do not use would be silently missing from every answer, so there must be none. */
function checkTensors(file: GgufFile, config: LlamaConfig): void {
  const expected = new Map(
    [...llamaTensors(config)].map(([name, shape]) => [ggufName(name), shape]),
  );
  for (const [name, shape] of expected) {
    const found = file.tensors.get(name)?.shape;
    if (found === undefined) throw badFile(`${file.path} has no tensor ${name}`);
    if (String(found) !== String(shape))
      throw badFile(`${file.path}, tensor ${name} is [${found}], expected [${shape}]`);
  }
  const stranger = [...file.tensors.keys()].find((name) => !expected.has(name));
  if (stranger !== undefined)
    throw badFile(
      `${file.path} has a tensor ${stranger}, which a plain Llama model has not; other architectures, biases and frequency tables are not supported`,
    );
}

const MODULE_NAMES: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
const OUTER_NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};
const LAYER_NAME = /^model\.layers\.(\d+)\.(.+)\.weight$/;

/** What GGUF calls a tensor with this Hugging Face name. */
export function ggufName(name: string): string {
  const [, layer, module = ''] = LAYER_NAME.exec(name) ?? [];
  return OUTER_NAMES[name] ?? `blk.${layer}.${MODULE_NAMES[module]}.weight`;
}

function readTensor(file: GgufFile, name: string, config: LlamaConfig): Float32Array {
  const numbers = file.read(ggufName(name));
  const isRotated = name.endsWith('q_proj.weight') || name.endsWith('k_proj.weight');
  return isRotated ? halvesFromPairs(numbers, config.headSize, config.hiddenSize) : numbers;
}

/** Undoes GGUF's order of the rows of q and k. Rotary positions turn pairs of rows: GGUF has the two of a pair next to each
 *  other (row 2i and 2i + 1 of a head), Hugging Face half a head apart (row i and i + D / 2). f32[heads * D, H] */
function halvesFromPairs(rows: Float32Array, D: number, H: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let row = 0; row < rows.length / H; row += 1) {
    const inHead = row % D;
    const to = row - inHead + (inHead % 2) * (D / 2) + Math.floor(inHead / 2);
    out.set(rows.subarray(row * H, (row + 1) * H), to * H);
  }
  return out;
}
