// config.json of a Hugging Face Llama checkpoint, both ways. Defaults are those of transformers' LlamaConfig.

import type { Json } from '../../lib/canonical-json.ts';
import { badFile } from '../bad-file.ts';
import { checkLlamaConfig, type LlamaConfig, type RopeScaling } from '../llama-config.ts';

type JsonObject = { readonly [key: string]: Json };

/** Reads config.json, and generation_config.json where there is one (null otherwise): it knows more end tokens.
 *  Throws BAD_INPUT for anything that is not a plain Llama model, since computing on would give wrong numbers.
 *  `label` names the file. */
export function parseHfConfig(config: Json, generation: Json, label: string): LlamaConfig {
  const fields = new Fields(config, label);
  fields.mustBe('model_type', 'llama');
  fields.mustBe('hidden_act', 'silu', 'silu');
  fields.mustBe('attention_bias', false, false);
  fields.mustBe('mlp_bias', false, false);
  const hiddenSize = fields.number('hidden_size');
  const headCount = fields.number('num_attention_heads');
  const rope = fields.object('rope_parameters') ?? fields.object('rope_scaling');
  const eos = [...tokenIds(new Fields(generation ?? {}, label)), ...tokenIds(fields)];
  const parsed: LlamaConfig = {
    hiddenSize,
    headCount,
    layerCount: fields.number('num_hidden_layers'),
    kvHeadCount: fields.number('num_key_value_heads', headCount),
    headSize: fields.number('head_dim', hiddenSize / headCount),
    intermediateSize: fields.number('intermediate_size'),
    vocabSize: fields.number('vocab_size'),
    rmsEps: fields.number('rms_norm_eps', 1e-6),
    ropeTheta: rope?.number('rope_theta', 0) || fields.number('rope_theta', 10_000),
    ropeScaling: rope === null ? null : ropeScaling(rope),
    contextLength: fields.number('max_position_embeddings', 2048),
    tiedEmbeddings: fields.value('tie_word_embeddings') === true,
    bosTokenId: fields.value('bos_token_id') === null ? null : fields.number('bos_token_id'),
    eosTokenIds: [...new Set(eos)],
  };
  checkLlamaConfig(parsed, label);
  return parsed;
}

/** The config.json that describes the same model to transformers. */
export function toHfConfig(config: LlamaConfig): JsonObject {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    dtype: 'float32',
    hidden_size: config.hiddenSize,
    num_hidden_layers: config.layerCount,
    num_attention_heads: config.headCount,
    num_key_value_heads: config.kvHeadCount,
    head_dim: config.headSize,
    intermediate_size: config.intermediateSize,
    vocab_size: config.vocabSize,
    rms_norm_eps: config.rmsEps,
    rope_theta: config.ropeTheta,
    rope_scaling: toHfScaling(config.ropeScaling),
    max_position_embeddings: config.contextLength,
    tie_word_embeddings: config.tiedEmbeddings,
    bos_token_id: config.bosTokenId,
    eos_token_id: config.eosTokenIds,
  };
}

function ropeScaling(rope: Fields): RopeScaling | null {
  const kind = rope.value('rope_type') ?? rope.value('type') ?? 'default';
  if (kind === 'default') return null;
  if (kind === 'linear') return { kind, factor: rope.number('factor') };
  if (kind === 'llama3') {
    return {
      kind,
      factor: rope.number('factor'),
      lowFrequencyFactor: rope.number('low_freq_factor'),
      highFrequencyFactor: rope.number('high_freq_factor'),
      originalContextLength: rope.number('original_max_position_embeddings'),
    };
  }
  return rope.refuse('rope_type', kind, "'default', 'linear' or 'llama3'");
}

function toHfScaling(scaling: RopeScaling | null): JsonObject | null {
  if (scaling === null) return null;
  if (scaling.kind === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalContextLength,
  };
}

/** eos_token_id is one id, a list of them, or absent. */
function tokenIds(fields: Fields): number[] {
  const eos = fields.value('eos_token_id');
  if (eos === null) return [];
  if (typeof eos === 'number') return [eos];
  const isList = Array.isArray(eos) && eos.every((id) => typeof id === 'number');
  return isList
    ? [...(eos as number[])]
    : fields.refuse('eos_token_id', eos, 'a token id or a list');
}

/** The fields of a JSON object, each read with a check; errors name the file, the field and its value. */
class Fields {
  readonly #object: JsonObject;
  readonly #label: string;

  constructor(json: Json, label: string) {
    const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
    if (!isObject) throw badFile(`${label}: expected a JSON object`);
    this.#object = json as JsonObject;
    this.#label = label;
  }

  value(name: string): Json {
    return this.#object[name] ?? null;
  }

  number(name: string, fallback?: number): number {
    const value = this.value(name) ?? fallback;
    return typeof value === 'number' ? value : this.refuse(name, value ?? null, 'a number');
  }

  object(name: string): Fields | null {
    const value = this.value(name);
    return value === null ? null : new Fields(value, `${this.#label}, ${name}`);
  }

  mustBe(name: string, expected: Json, fallback: Json = null): void {
    const value = this.value(name) ?? fallback;
    if (value !== expected) this.refuse(name, value, JSON.stringify(expected));
  }

  refuse(name: string, value: Json, expected: string): never {
    const given = JSON.stringify(value).slice(0, 80);
    const message = `${this.#label}: ${name} is ${given}, expected ${expected}; only plain Llama models are supported`;
    throw badFile(message);
  }
}
