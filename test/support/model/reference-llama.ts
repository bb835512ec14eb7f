// A Llama as its papers describe it, in float64: no cache, no batch, no fused product. The fast graphs are checked
// against this one. Sources: LLaMA (RMSNorm, SwiGLU), RoFormer (rotary positions, halves rotated as in Hugging Face's
// Llama), GQA (shared k/v heads), LoRA (W + alpha/rank B A).

import { must } from '../../../src/lib/errors.ts';
import { type LlamaConfig, ropeFrequencies } from '../../../src/model/llama-config.ts';
import { type LoraAdapter, type LoraShape, unflattenLora } from '../../../src/model/lora/lora.ts';

type Vector = Float64Array;

/** A model as the reference reads it. */
export interface ReferenceModel {
  readonly config: LlamaConfig;
  /** f32, by Hugging Face name, matrices [out, in]. */
  tensor(name: string): Float32Array;
}

/** The logits after each of the tokens: S vectors of length V. */
export function referenceLogits(
  model: ReferenceModel,
  ids: readonly number[],
  adapter: LoraAdapter | null = null,
): readonly Vector[] {
  const { config } = model;
  const H = config.hiddenSize;
  const embedding = model.tensor('model.embed_tokens.weight');
  let hidden: Vector[] = ids.map((id) =>
    Float64Array.from(embedding.subarray(id * H, (id + 1) * H)),
  );
  for (let layer = 0; layer < config.layerCount; layer += 1)
    hidden = referenceLayer(model, adapter, layer, hidden);
  const head = config.tiedEmbeddings ? embedding : model.tensor('lm_head.weight');
  const gain = model.tensor('model.norm.weight');
  return hidden.map((x) => product(head, norm(x, gain, config.rmsEps)));
}

/** The negative log-likelihood of a row's target tokens, in nats; without theta, that of the bare model. */
export function referenceNll(
  model: ReferenceModel,
  row: { readonly ids: readonly number[]; readonly promptLength: number },
  { lora, theta }: { readonly lora: LoraShape; readonly theta: Float32Array | null },
): number {
  const adapter = theta === null ? null : unflattenLora(model.config, lora, theta);
  const logits = referenceLogits(model, row.ids, adapter);
  const nlls = row.ids.slice(row.promptLength).map((id, i) => {
    const scores = must(logits[row.promptLength + i - 1], 'logits of every position');
    const largest = Math.max(...scores);
    const sum = scores.reduce((total, x) => total + Math.exp(x - largest), 0);
    return largest + Math.log(sum) - (scores[id] ?? 0);
  });
  return nlls.reduce((sum, nll) => sum + nll, 0);
}

/** theta with one matrix moved a little in an uneven direction, and against it. */
export function bothWays(
  theta: Float32Array,
  place: { in: number; out: number; aOffset: number; bOffset: number },
  { part, rank }: { part: 'a' | 'b'; rank: number },
): [up: Float32Array, down: Float32Array] {
  const start = part === 'a' ? place.aOffset : place.bOffset;
  const end = start + rank * (part === 'a' ? place.in : place.out);
  const moved = (step: number) =>
    theta.map((value, i) => (i < start || i >= end ? value : value + step * Math.sin(13 * i)));
  return [moved(4e-4), moved(-4e-4)];
}

function referenceLayer(
  model: ReferenceModel,
  adapter: LoraAdapter | null,
  layer: number,
  hidden: readonly Vector[],
): Vector[] {
  const { config } = model;
  const prefix = `model.layers.${layer}`;
  const linear = (module: string, part: string) => (x: Vector) =>
    addLora(product(model.tensor(`${prefix}.${part}.${module}.weight`), x), x, {
      adapter,
      layer,
      module,
    });
  const norms = (name: string) => (x: Vector) =>
    norm(x, model.tensor(`${prefix}.${name}.weight`), config.rmsEps);

  const normed = hidden.map(norms('input_layernorm'));
  const turn = (x: Vector, position: number) => rotate(x, position, config);
  const queries = normed.map(linear('q_proj', 'self_attn')).map(turn);
  const keys = normed.map(linear('k_proj', 'self_attn')).map(turn);
  const values = normed.map(linear('v_proj', 'self_attn'));
  const attended = queries
    .map((q, i) => attend(q, keys.slice(0, i + 1), values.slice(0, i + 1), config))
    .map(linear('o_proj', 'self_attn'))
    .map((update, i) => add(hidden[i] as Vector, update));
  return attended.map((x) => {
    const inner = norms('post_attention_layernorm')(x);
    const gate = linear('gate_proj', 'mlp')(inner);
    const up = linear('up_proj', 'mlp')(inner);
    const activated = gate.map((g, i) => (g / (1 + Math.exp(-g))) * (up[i] as number));
    return add(x, linear('down_proj', 'mlp')(activated));
  });
}

/** One position's heads over all positions up to it. */
function attend(q: Vector, keys: Vector[], values: Vector[], config: LlamaConfig): Vector {
  const { headCount, kvHeadCount, headSize: D } = config;
  const result = new Float64Array(headCount * D);
  for (let head = 0; head < headCount; head += 1) {
    const shared = Math.floor(head / (headCount / kvHeadCount)) * D;
    const own = q.subarray(head * D, (head + 1) * D);
    const scores = keys.map((k) => dot(own, k.subarray(shared, shared + D)) / Math.sqrt(D));
    const greatest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - greatest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [i, value] of values.entries())
      for (let d = 0; d < D; d += 1)
        result[head * D + d] =
          (result[head * D + d] as number) +
          ((weights[i] as number) / total) * (value[shared + d] as number);
  }
  return result;
}

/** Turns each head's pairs (i, i + D/2) by the position's angles. */
function rotate(x: Vector, position: number, config: LlamaConfig): Vector {
  const D = config.headSize;
  const frequencies = ropeFrequencies(config);
  return x.map((value, index) => {
    const i = index % D;
    const angle = position * (frequencies[i % (D / 2)] as number);
    const partner = i < D / 2 ? -(x[index + D / 2] as number) : (x[index - D / 2] as number);
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

function addLora(
  y: Vector,
  x: Vector,
  place: { adapter: LoraAdapter | null; layer: number; module: string },
): Vector {
  const { adapter, layer, module } = place;
  const found = adapter?.tensors.find((t) => t.layer === layer && t.module === module);
  if (found === undefined || adapter === null) return y;
  const scale = adapter.shape.alpha / adapter.shape.rank;
  const update = product(found.b, product(found.a, x));
  return y.map((value, i) => value + scale * (update[i] as number));
}

function norm(x: Vector, gain: Float32Array, epsilon: number): Vector {
  const meanSquare = dot(x, x) / x.length;
  return x.map((value, i) => (value / Math.sqrt(meanSquare + epsilon)) * (gain[i] as number));
}

/** W x for W [out, in]. */
function product(matrix: Float32Array, x: Vector): Vector {
  const columns = x.length;
  return Float64Array.from({ length: matrix.length / columns }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < columns; i += 1)
      sum += (matrix[row * columns + i] as number) * (x[i] as number);
    return sum;
  });
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

function add(a: Vector, b: Vector): Vector {
  return a.map((value, i) => value + (b[i] as number));
}
