// The shape of a Llama model, and what follows from the shape alone: its tensors and its rotary frequencies.

import { badFile } from './bad-file.ts';

/** How a checkpoint stretches its rotary positions beyond the length it was first trained on. */
export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContextLength: number;
    };

/** The shape of a Llama model. Sizes are counts of numbers, lengths counts of tokens. */
export interface LlamaConfig {
  readonly hiddenSize: number;
  readonly layerCount: number;
  readonly headCount: number;
  /** Heads of k and v; headCount is a multiple of it (grouped-query attention). */
  readonly kvHeadCount: number;
  readonly headSize: number;
  readonly intermediateSize: number;
  readonly vocabSize: number;
  readonly rmsEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | null;
  readonly contextLength: number;
  /** The head is the embedding itself: there is no lm_head.weight. */
  readonly tiedEmbeddings: boolean;
  readonly bosTokenId: number | null;
  /** Every token that ends an answer; the first one is what the model writes at the end of its own turn. */
  readonly eosTokenIds: readonly number[];
}

/** Limits of what we try to load. They keep a damaged or hostile header from asking for absurd amounts of memory, and are
 *  far above any model that this program can usefully train on one machine. */
const MAX_LAYERS = 512;
const MAX_SIZE = 1 << 20;
const MAX_VOCAB = 1 << 22;
const MAX_CONTEXT = 1 << 24;

/** Throws BAD_INPUT, naming the field and its value, unless the numbers are those of a model that can exist.
 *  `label` names the file in the message. */
export function checkLlamaConfig(config: LlamaConfig, label: string): void {
  const counts: readonly (readonly [keyof LlamaConfig, number])[] = [
    ['layerCount', MAX_LAYERS],
    ['hiddenSize', MAX_SIZE],
    ['headCount', MAX_SIZE],
    ['kvHeadCount', MAX_SIZE],
    ['headSize', MAX_SIZE],
    ['intermediateSize', MAX_SIZE],
    ['vocabSize', MAX_VOCAB],
    ['contextLength', MAX_CONTEXT],
  ];
  for (const [field, max] of counts) {
    const value = config[field];
    const fits = Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max;
    if (!fits) throw badFile(`${label}: ${field} is ${value}, expected 1 to ${max}`);
  }
  for (const field of ['rmsEps', 'ropeTheta'] as const) {
    const isPositive = Number.isFinite(config[field]) && config[field] > 0;
    if (!isPositive) throw badFile(`${label}: ${field} is ${config[field]}, expected above 0`);
  }
  checkHeads(config, label);
  checkTokenIds(config, label);
}

function checkHeads(config: LlamaConfig, label: string): void {
  const { headCount, kvHeadCount, headSize } = config;
  if (headCount % kvHeadCount !== 0)
    throw badFile(`${label}: ${headCount} heads cannot share ${kvHeadCount} k/v heads evenly`);
  if (headSize % 2 !== 0)
    throw badFile(`${label}: headSize is ${headSize}, and rotary positions need an even one`);
}

function checkTokenIds(config: LlamaConfig, label: string): void {
  const ids = [...config.eosTokenIds, ...(config.bosTokenId === null ? [] : [config.bosTokenId])];
  const stranger = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocabSize);
  if (stranger !== undefined)
    throw badFile(
      `${label}: token id ${stranger} is outside the vocabulary of ${config.vocabSize}`,
    );
  if (config.eosTokenIds.length === 0)
    throw badFile(`${label}: no end-of-text token, so no answer would ever end`);
}

/** The Hugging Face name of each tensor of the model and its shape; matrices are [out, in]. */
export function llamaTensors(config: LlamaConfig): ReadonlyMap<string, readonly number[]> {
  const { hiddenSize: H, intermediateSize, vocabSize: V, headSize: D } = config;
  const tensors = new Map<string, readonly number[]>([['model.embed_tokens.weight', [V, H]]]);
  for (let layer = 0; layer < config.layerCount; layer += 1) {
    const prefix = `model.layers.${layer}`;
    tensors.set(`${prefix}.input_layernorm.weight`, [H]);
    tensors.set(`${prefix}.self_attn.q_proj.weight`, [config.headCount * D, H]);
    tensors.set(`${prefix}.self_attn.k_proj.weight`, [config.kvHeadCount * D, H]);
    tensors.set(`${prefix}.self_attn.v_proj.weight`, [config.kvHeadCount * D, H]);
    tensors.set(`${prefix}.self_attn.o_proj.weight`, [H, config.headCount * D]);
    tensors.set(`${prefix}.post_attention_layernorm.weight`, [H]);
    tensors.set(`${prefix}.mlp.gate_proj.weight`, [intermediateSize, H]);
    tensors.set(`${prefix}.mlp.up_proj.weight`, [intermediateSize, H]);
    tensors.set(`${prefix}.mlp.down_proj.weight`, [H, intermediateSize]);
  }
  tensors.set('model.norm.weight', [H]);
  if (!config.tiedEmbeddings) tensors.set('lm_head.weight', [V, H]);
  return tensors;
}

/** Radians that each pair of a head turns by per position, fastest first: f64[D / 2].
 *  Source: RoFormer (theta^(-2i/D)); Llama 3.1's scaling leaves short wave lengths as they are, divides long ones by
 *  the factor, and blends in between. */
export function ropeFrequencies(config: LlamaConfig): Float64Array {
  const D = config.headSize;
  const frequencies = Float64Array.from(
    { length: D / 2 },
    (_, i) => config.ropeTheta ** ((-2 * i) / D),
  );
  const scaling = config.ropeScaling;
  if (scaling === null) return frequencies;
  if (scaling.kind === 'linear') return frequencies.map((frequency) => frequency / scaling.factor);
  return frequencies.map((frequency) => {
    // how often this pair turns round within the original context
    const turns = (scaling.originalContextLength * frequency) / (2 * Math.PI);
    const { lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return kept * frequency + (1 - kept) * (frequency / scaling.factor);
  });
}
