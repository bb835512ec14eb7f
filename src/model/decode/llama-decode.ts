// The decode graph: a Llama that continues rows of text, each row with its own LoRA and its own length so far.
// The KV cache is an input only: the run returns just the new positions' keys and values, and whoever owns the cache
// writes them into it. (An output that holds the whole cache would be copied on every step.)
// It knows nothing of requests, sampling or files.

import { swiglu } from '../../graph/blocks.ts';
import { buildGraph, type Graph } from '../../graph/graph.ts';
import type { Tensor } from '../../graph/ir.ts';
import { add } from '../../graph/ops/elementwise.ts';
import { gather } from '../../graph/ops/gather.ts';
import { matmul } from '../../graph/ops/matrix.ts';
import { rmsNorm, rotaryEmbedding, skipRmsNorm, softmax } from '../../graph/ops/normalise.ts';
import { concat, reshape, sizeOf, split, transpose } from '../../graph/ops/reshape.ts';
import { shareSubexpressions } from '../../graph/share-subexpressions.ts';
import { i64, input } from '../../graph/tensor.ts';
import { must } from '../../lib/errors.ts';
import type { LlamaConfig } from '../llama-config.ts';
import { type LoraSite, loraDims, loraNames, siteLayout } from '../lora/lora-stack.ts';

/** The embedding's Hugging Face name. */
export const EMBEDDING_NAME = 'model.embed_tokens.weight';

/** The weights of a base, as the decode graph uses them. */
export interface DecodeWeights {
  /** f32[P, D/2], times D^-0.25: queries and keys turn by the same tables, so that together they scale a score by
   *  1 / sqrt(D). */
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
  /** The embedding f32[V, H] or the gain f32[H] of a norm, by Hugging Face name. */
  tensor(name: string): Tensor;
  /** The frozen linear layers that read one input, their outputs side by side.   x f32[B,S,in]   returns f32[B,S,out] */
  linear(x: Tensor, layer: number, site: LoraSite): Tensor;
  /** x f32[B,S,H]   returns f32[B,S,V] */
  head(x: Tensor): Tensor;
}

/** The weights in a graph over these ids i64[B, S]. */
export type DecodeWeightsOver = (ids: Tensor) => DecodeWeights;

/** Which graph to build. */
export interface DecodeGraphOptions {
  readonly config: LlamaConfig;
  readonly weights: DecodeWeightsOver;
}

/** B rows, S new positions each, T cached ones (of which past_mask hides those that a row does not have), LoRA rank R.
 *  ids, positions i64[B,S];  asked i64[A]: the new positions whose logits are wanted, -1 for the last
 *  past_mask f32[B,1,1,1,T]: 0 or -1e9;  new_mask f32[S,S]: the same, causal
 *  past_key.l, past_value.l f32[B,KV,1,T,D]
 *  lora_a.l.site f32[B,modules*R,in], lora_b.l.site f32[B,R,out] or [B,blocks,R,width] (see lora-stack.ts; zero: no adapter)
 *  ->  logits f32[B,A,V];  fresh f32[B, layers*2*KV, 1, S, D]: per layer the new keys, then the new values */
export function decodeGraph({ config, weights: over }: DecodeGraphOptions): Graph {
  const model = modelOf(config, over);
  const { weights } = model;
  let hidden = gather(weights.tensor(EMBEDDING_NAME), model.ids); // f32[B, S, H]
  let normed = rmsNorm(hidden, weights.tensor(normName(config, 0)), config.rmsEps);
  const fresh: Tensor[] = [];
  for (let layer = 0; layer < config.layerCount; layer += 1) {
    const attended = attention(normed, model, layer);
    fresh.push(attended.keys, attended.values);
    const middle = afterNorm(model, hidden, attended.output, middleNormName(layer));
    const expanded = feedForward(middle.normed, model, layer);
    ({ normed, sum: hidden } = afterNorm(model, middle.sum, expanded, normName(config, layer + 1)));
  }
  const asked = gather(normed, input('asked', 'i64', ['A']), 1); // f32[B, A, H]
  const outputs = { logits: weights.head(asked), fresh: concat(fresh, 1) };
  return shareSubexpressions(buildGraph('decode', outputs));
}

/** What every layer of one graph shares. */
interface Model {
  readonly config: LlamaConfig;
  readonly weights: DecodeWeights;
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly pastMask: Tensor;
  readonly newMask: Tensor;
  /** i64[2]: T and S */
  readonly spans: Tensor;
}

function modelOf(config: LlamaConfig, over: DecodeWeightsOver): Model {
  const ids = input('ids', 'i64', ['B', 'S']);
  const pastMask = input('past_mask', 'f32', ['B', 1, 1, 1, 'T']);
  return {
    config,
    weights: over(ids),
    ids,
    positions: input('positions', 'i64', ['B', 'S']),
    pastMask,
    newMask: input('new_mask', 'f32', ['S', 'S']),
    spans: concat([sizeOf(pastMask, 4), sizeOf(ids, 1)], 0),
  };
}

/** The norm that a layer begins with; behind the last layer, the model's own. */
function normName(config: LlamaConfig, layer: number): string {
  return layer === config.layerCount
    ? 'model.norm.weight'
    : `model.layers.${layer}.input_layernorm.weight`;
}

function middleNormName(layer: number): string {
  return `model.layers.${layer}.post_attention_layernorm.weight`;
}

function afterNorm({ config, weights }: Model, hidden: Tensor, update: Tensor, name: string) {
  return skipRmsNorm(hidden, update, weights.tensor(name), config.rmsEps);
}

/** The new positions look at the cached ones and, causally, at each other.   x f32[B,S,H]
 *  G query heads share a k/v head. Each is a product of its own, since a product of one row reads the cache where it lies, and
 *  one of several rows packs a copy of it first. */
function attention(x: Tensor, model: Model, layer: number) {
  const { headCount, kvHeadCount: KV, headSize: D } = model.config;
  const G = headCount / KV;
  const { positions, spans, weights } = model;
  const [qk, v] = pair(split(linear(x, model, layer, 'qkv'), [(headCount + KV) * D, KV * D], 2));
  const turned = rotaryEmbedding(qk, { positions, ...weights.rope });
  const [q, k] = pair(split(turned, [headCount * D, KV * D], 2));
  const queries = byHead(q, [KV, G], D); // f32[B, KV, G, S, D]
  const keys = byHead(k, [KV, 1], D); // f32[B, KV, 1, S, D]
  const values = byHead(v, [KV, 1], D);
  const cache = (name: string) => input(`${name}.${layer}`, 'f32', ['B', KV, 1, 'T', D]);
  const pastScores = add(matmul(queries, cache('past_key'), { transB: true }), model.pastMask);
  const newScores = add(matmul(queries, keys, { transB: true }), model.newMask);
  const shares = softmax(concat([pastScores, newScores], 4)); // f32[B, KV, G, S, T+S]
  const [pastShares, newShares] = pair(split(shares, spans, 4));
  const context = add(matmul(pastShares, cache('past_value')), matmul(newShares, values));
  const merged = transpose(context, [0, 3, 1, 2, 4]); // f32[B, S, KV, G, D]
  const output = linear(reshape(merged, [0, 0, headCount * D]), model, layer, 'o');
  return { output, keys, values };
}

/** Gives each head its rows.   x f32[B,S,heads*D]   returns f32[B,KV,G,S,D] for heads [KV, G] */
function byHead(x: Tensor, heads: readonly [number, number], D: number): Tensor {
  return transpose(reshape(x, [0, 0, ...heads, D]), [0, 2, 3, 1, 4]);
}

function feedForward(x: Tensor, model: Model, layer: number): Tensor {
  const I = model.config.intermediateSize;
  const [gate, up] = pair(split(linear(x, model, layer, 'gate_up'), [I, I], 2));
  return linear(swiglu(gate, up), model, layer, 'down');
}

/** The frozen layers of a site and each row's own LoRA: y[b] += (x[b] A[b]^T) B[b].
 *  x f32[B,S,in]   returns f32[B,S,out] */
function linear(x: Tensor, { config, weights }: Model, layer: number, site: LoraSite): Tensor {
  const frozen = weights.linear(x, layer, site);
  const layout = siteLayout(config, site);
  const { modules, blocks } = layout;
  const names = loraNames(layer, site);
  const dims = loraDims(layout, 'R');
  const a = input(names.a, 'f32', ['B', ...dims.a]);
  const b = input(names.b, 'f32', ['B', ...dims.b]);
  const shrunk = matmul(x, a, { transB: true }); // f32[B, S, modules*R]
  if (blocks.length === 1) return add(frozen, matmul(shrunk, b));
  const byModule = transpose(reshape(shrunk, [0, 0, modules.length, -1]), [0, 2, 1, 3]);
  const isOneToOne = blocks.length === modules.length;
  const byBlock = isOneToOne ? byModule : gather(byModule, i64(blocks), 1); // f32[B, blocks, S, R]
  const grown = transpose(matmul(byBlock, b), [0, 2, 1, 3]); // f32[B, S, blocks, width]
  return add(frozen, reshape(grown, [0, 0, -1]));
}

function pair(parts: readonly Tensor[]): readonly [Tensor, Tensor] {
  return [must(parts[0], 'a first part'), must(parts[1], 'a second part')];
}
