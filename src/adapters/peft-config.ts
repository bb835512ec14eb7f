// adapter_config.json: the part of PEFT's LoraConfig that we write, and what we can read of what others wrote.

import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import { badFile } from '../model/bad-file.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import {
  LORA_MODULES,
  type LoraModule,
  type LoraShape,
  MAX_LORA_RANK,
} from '../model/lora/lora.ts';

type JsonObject = { readonly [key: string]: Json };

// Variants of LoRA that compute something else, and the value with which each is plain LoRA.
const VARIANTS: JsonObject = {
  alpha_pattern: {},
  bias: 'none',
  fan_in_fan_out: false,
  layer_replication: null,
  lora_bias: false,
  modules_to_save: null,
  rank_pattern: {},
  use_dora: false,
  use_rslora: false,
};
// Younger variants: read, but not written, since older releases of PEFT warn of names they do not know.
const YOUNGER_VARIANTS: JsonObject = {
  alora_invocation_tokens: null,
  target_parameters: null,
  trainable_token_indices: null,
  use_qalora: false,
};

/** The config of an adapter as PEFT reads it; equal shapes and base names give equal text. */
export function encodePeftConfig(shape: LoraShape, baseName: string): string {
  const fields: JsonObject = {
    ...VARIANTS,
    base_model_name_or_path: baseName,
    inference_mode: true,
    layers_to_transform: shape.layers ?? null,
    lora_alpha: shape.alpha,
    lora_dropout: 0,
    peft_type: 'LORA',
    r: shape.rank,
    target_modules: LORA_MODULES.filter((module) => shape.modules.includes(module)),
    task_type: 'CAUSAL_LM',
  };
  return `${canonicalJson(fields)}\n`;
}

/** Reads the shape from a config. Throws BAD_INPUT naming the file, the field, its value and what was expected. */
export function parsePeftConfig(text: string, config: LlamaConfig, path: string): LoraShape {
  const fields = parseObject(text, path);
  const read = <T>(field: string, parse: (value: Json) => T | undefined, expected: string): T => {
    const value = fields[field] ?? null;
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    const shown = canonicalJson(value).slice(0, 100);
    throw badFile(`${path}: ${field} is ${shown}, expected ${expected}`);
  };
  read('peft_type', (value) => (value === 'LORA' ? value : undefined), '"LORA"');
  for (const [field, plain] of Object.entries({ ...VARIANTS, ...YOUNGER_VARIANTS })) {
    const wanted = canonicalJson(plain);
    const isPlain = (value: Json) => value === null || canonicalJson(value) === wanted;
    read(field, (value) => (isPlain(value) ? true : undefined), `${wanted} or nothing`);
  }
  const layers = read('layers_to_transform', layersUnder(config.layerCount), LAYERS_EXPECTED);
  return {
    rank: read('r', parseRank, `a whole number from 1 to ${MAX_LORA_RANK}`),
    alpha: read('lora_alpha', parseAlpha, 'a number above 0'),
    modules: read('target_modules', parseModules, `a list of ${LORA_MODULES.join(', ')}`),
    ...(layers === null ? {} : { layers }),
  };
}

function parseObject(text: string, path: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw badFile(`${path} is not JSON`, error);
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value))
    return value as JsonObject;
  throw badFile(`${path} is not a JSON object`);
}

const LAYERS_EXPECTED = 'nothing, or layers of the base without repetition';

// Each parser returns undefined for a value it does not accept.

function parseRank(value: Json): number | undefined {
  return isWhole(value) && value >= 1 && value <= MAX_LORA_RANK ? value : undefined;
}

function parseAlpha(value: Json): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined;
}

function parseModules(value: Json): readonly LoraModule[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const known = LORA_MODULES.filter((module) => value.includes(module));
  return known.length === value.length ? known : undefined;
}

/** null: all layers. PEFT allows a single number for a list of one. */
function layersUnder(layerCount: number): (value: Json) => readonly number[] | null | undefined {
  return (value) => {
    if (value === null) return null;
    const list: readonly Json[] = Array.isArray(value) ? value : [value];
    const layers = list.filter(isWhole).filter((layer) => layer >= 0 && layer < layerCount);
    const isSound = list.length > 0 && new Set(layers).size === list.length;
    return isSound ? layers.sort((a, b) => a - b) : undefined;
  };
}

function isWhole(value: Json): value is number {
  return Number.isInteger(value);
}
