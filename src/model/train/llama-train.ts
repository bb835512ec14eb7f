// The graphs of training: a Llama whose weights are frozen and whose LoRA is an input, its loss and the gradient of that.
// Rows and their lengths are free (B, S), so one session serves every batch. It knows nothing of data, optimisers or files.

import { swiglu, tokenLogProb } from '../../graph/blocks.ts';
import { gradients } from '../../graph/gradients.ts';
import { buildGraph, type Graph } from '../../graph/graph.ts';
import type { Tensor } from '../../graph/ir.ts';
import { add, mul, neg, sigmoid, softplus, sub } from '../../graph/ops/elementwise.ts';
import { gather } from '../../graph/ops/gather.ts';
import { matmul } from '../../graph/ops/matrix.ts';
import { rmsNorm, rotaryEmbedding, softmax } from '../../graph/ops/normalise.ts';
import { sumAll } from '../../graph/ops/reduce.ts';
import { concat, reshape, reshapeLike, sizeOf, transpose } from '../../graph/ops/reshape.ts';
import { shareSubexpressions } from '../../graph/share-subexpressions.ts';
import { f32, i64, input } from '../../graph/tensor.ts';
import { must } from '../../lib/errors.ts';
import { type LlamaConfig, ropeFrequencies } from '../llama-config.ts';
import { type LoraModule, type LoraShape, linearName, loraSize } from '../lora/lora.ts';
import { addLora, type LayerLora, loraParameters } from '../lora/lora-parameters.ts';

/** The frozen weights of a base, as graph tensors. */
export interface FrozenWeights {
  /** A tensor in floats, by its Hugging Face name. */
  tensor(name: string): Tensor;
  /** x f32[M, in] through the frozen linear layer of that name: f32[M, out]. */
  linear(x: Tensor, name: string): Tensor;
}

/** What a training graph is built for. */
export interface TrainGraphOptions {
  readonly config: LlamaConfig;
  readonly weights: FrozenWeights;
  readonly lora: LoraShape;
  /** No row will be longer. */
  readonly maxTokens: number;
  /** Lower layers that the graph leaves out: it is fed what comes out of them, and the LoRA has no part in them. */
  readonly prefixLayers: number;
}

/** One training step.
 *  ids i64[B,S] (with a prefix: hidden f32[B,S,H]), mask f32[1,1,G*S,S], positions i64[M], targets i64[M],
 *  weights f32[M,1], theta f32[P]  ->  loss f32[], gradient f32[P]
 *  The loss is the weighted sum of the negative log-likelihoods of the targets. */
export function trainStepGraph(options: TrainGraphOptions): Graph {
  const { logProbs, theta } = llamaLogProbs(options);
  const weights = input('weights', 'f32', ['M', 1]);
  const loss = neg(sumAll(mul(logProbs, weights)));
  const gradient = must(gradients(loss, [theta])[0], 'one gradient per parameter');
  return shareSubexpressions(buildGraph('train_step', { loss, gradient }));
}

/** All that a learner does, in one graph: how likely the targets are (the output logProbs of scoreGraph), and one step of writing
 *  or of preference optimisation, for N pairs of rows (chosen, rejected) or N rows with a thumb each:
 *  the inputs of a training step and pairs f32[N,M], reference, pairWeights and thumbWeights f32[N,1]
 *  ->  logProbs f32[M,1], loss f32[], gradient f32[P]
 *  With m = pairs . logProbs - reference, the loss is sum(pairWeights * -log sigmoid(m) + thumbWeights * sigmoid(-m)), and
 *  the training step's loss is added to it. With +beta in `pairs` at the chosen row's targets, -beta at the rejected row's,
 *  and the same sum under the reference model in `reference`, the first term is DPO: Rafailov et al., "Direct preference
 *  optimization", equation 7. With +beta at the targets of a liked row or -beta at those of a disliked one, and in
 *  `reference` the same sum plus or minus beta z0, the second is KTO: Ethayarajh et al., equation 8. */
export function learnGraph(options: TrainGraphOptions): Graph {
  const { logProbs, theta } = llamaLogProbs(options);
  const pairs = input('pairs', 'f32', ['N', 'M']);
  const perPair = (name: string) => input(name, 'f32', ['N', 1]);
  const margins = sub(matmul(pairs, logProbs), perPair('reference')); // f32[N, 1]
  const preferred = sumAll(mul(softplus(neg(margins)), perPair('pairWeights')));
  const judged = sumAll(mul(sigmoid(neg(margins)), perPair('thumbWeights')));
  const written = sumAll(mul(logProbs, input('weights', 'f32', ['M', 1])));
  const loss = sub(add(preferred, judged), written);
  const gradient = must(gradients(loss, [theta])[0], 'one gradient per parameter');
  return shareSubexpressions(buildGraph('learn', { logProbs, loss, gradient }));
}

/** How likely the targets are: the inputs of a training step but for weights  ->  logProbs f32[M,1] */
export function scoreGraph(options: TrainGraphOptions): Graph {
  return shareSubexpressions(buildGraph('score', { logProbs: llamaLogProbs(options).logProbs }));
}

/** The lower layers alone: ids i64[B,S], mask  ->  hidden f32[B,S,H], what a graph with that prefix is fed. */
export function prefixGraph(options: TrainGraphOptions): Graph {
  const ids = input('ids', 'i64', ['B', 'S']);
  const model = modelOf(options, ids, new Map());
  const hidden = layers(embed(options, ids), model, { from: 0, to: options.prefixLayers });
  const { config } = options;
  return shareSubexpressions(
    buildGraph('prefix', { hidden: reshape(hidden, rowsOf(model, config.hiddenSize)) }),
  );
}

function llamaLogProbs(options: TrainGraphOptions): { logProbs: Tensor; theta: Tensor } {
  const { config, weights, prefixLayers } = options;
  const theta = input('theta', 'f32', [loraSize(config, options.lora)]);
  const H = config.hiddenSize;
  const start =
    prefixLayers > 0 ? input('hidden', 'f32', ['B', 'S', H]) : input('ids', 'i64', ['B', 'S']);
  const model = modelOf(options, start, loraParameters(config, options.lora, theta));
  const first = prefixLayers > 0 ? reshape(start, [-1, H]) : embed(options, start);
  const last = config.layerCount - 1;
  const below = layers(first, model, { from: prefixLayers, to: last });
  // only the asked positions go through the end of the last layer, and through the head, whose product is the largest of all
  const asked = block(below, model, { layer: last, rows: input('positions', 'i64', ['M']) }); // f32[M, H]
  const hidden = rmsNorm(asked, weights.tensor('model.norm.weight'), config.rmsEps);
  const head = config.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  const targets = input('targets', 'i64', ['M']);
  return { logProbs: tokenLogProb(hidden, { head: weights.tensor(head), targets }), theta };
}

/** What every layer of one graph shares. */
interface Model {
  readonly config: LlamaConfig;
  readonly weights: FrozenWeights;
  readonly lora: ReadonlyMap<number, LayerLora>;
  /** i64[2]: B and S */
  readonly size: Tensor;
  /** f32[1, 1, G*S, S]: 0 where a query may look, a large negative number elsewhere; G query heads share a k/v head. */
  readonly mask: Tensor;
  readonly rope: { readonly positions: Tensor; readonly cos: Tensor; readonly sin: Tensor };
}

function modelOf(
  { config, weights, maxTokens }: TrainGraphOptions,
  start: Tensor,
  lora: ReadonlyMap<number, LayerLora>,
): Model {
  const queriesPerKey = config.headCount / config.kvHeadCount;
  return {
    config,
    weights,
    lora,
    size: concat([sizeOf(start, 0), sizeOf(start, 1)], 0),
    mask: input('mask', 'f32', [1, 1, queriesPerKey === 1 ? 'S' : `${queriesPerKey}*S`, 'S']),
    rope: { positions: i64([0]), ...ropeTables(config, maxTokens) },
  };
}

function ropeTables(config: LlamaConfig, maxTokens: number): { cos: Tensor; sin: Tensor } {
  const frequencies = ropeFrequencies(config);
  const angles = Array.from({ length: maxTokens }, (_, position) =>
    Array.from(frequencies, (frequency) => position * frequency),
  ).flat();
  const shape = [maxTokens, frequencies.length];
  return { cos: f32(shape, angles.map(Math.cos)), sin: f32(shape, angles.map(Math.sin)) };
}

/** i64[3 or more]: [B, S, ...inner] */
function rowsOf(model: Model, ...inner: number[]): Tensor {
  return concat([model.size, i64(inner)], 0);
}

function embed({ config, weights }: TrainGraphOptions, ids: Tensor): Tensor {
  const embedded = gather(weights.tensor('model.embed_tokens.weight'), ids);
  return reshape(embedded, [-1, config.hiddenSize]); // f32[B*S, H]
}

function layers(x: Tensor, model: Model, { from, to }: { from: number; to: number }): Tensor {
  return Array.from({ length: to - from }, (_, i) => from + i).reduce(
    (hidden, layer) => block(hidden, model, { layer }),
    x,
  );
}

/** One Llama block.   x f32[B*S, H]   returns f32[B*S, H], or only these of its rows: i64[M]   returns f32[M, H] */
function block(
  x: Tensor,
  model: Model,
  { layer, rows }: { readonly layer: number; readonly rows?: Tensor },
): Tensor {
  const wanted = (all: Tensor) => (rows === undefined ? all : gather(all, rows));
  const norm = (name: string, hidden: Tensor) =>
    rmsNorm(
      hidden,
      model.weights.tensor(`model.layers.${layer}.${name}.weight`),
      model.config.rmsEps,
    );
  const qkv = linears(norm('input_layernorm', x), model, layer, ['q_proj', 'k_proj', 'v_proj']);
  const context = wanted(attention(qkv, model));
  const attended = add(wanted(x), linears(context, model, layer, ['o_proj'])('o_proj'));
  const normed = norm('post_attention_layernorm', attended);
  const expanded = linears(normed, model, layer, ['gate_proj', 'up_proj']);
  const activated = swiglu(expanded('gate_proj'), expanded('up_proj'));
  return add(attended, linears(activated, model, layer, ['down_proj'])('down_proj'));
}

type Outputs = (module: LoraModule) => Tensor;

/** The linear layers that read x, with their adapters if they have any. */
function linears(
  x: Tensor,
  { weights, lora }: Model,
  layer: number,
  group: readonly LoraModule[],
): Outputs {
  const outputs = new Map(
    group.map((module) => [module, weights.linear(x, linearName(layer, module))]),
  );
  const adapter = group[0] === undefined ? undefined : lora.get(layer)?.get(group[0]);
  const adapted = adapter === undefined ? outputs : addLora(x, outputs, adapter);
  return (module) => must(adapted.get(module), 'the group has the module');
}

/** Causal attention in which G query heads share a k/v head. They lie one under the other as rows of one product. Keys and values have
 *  positions as columns: their gradients then turn round the narrower factor of a product.
 *  returns f32[B*S, heads*D] */
function attention(qkv: Outputs, model: Model): Tensor {
  const { headCount, kvHeadCount: KV, headSize: D } = model.config;
  const G = headCount / KV;
  const turn = (x: Tensor, heads: number) =>
    rotaryEmbedding(reshape(x, rowsOf(model, heads * D)), model.rope); // f32[B, S, heads*D]
  const keyed = (x: Tensor) => transpose(reshape(x, rowsOf(model, KV, D)), [0, 2, 3, 1]); // f32[B, KV, D, S]
  const grouped = transpose(
    reshape(turn(qkv('q_proj'), headCount), rowsOf(model, KV, G, D)),
    [0, 2, 3, 1, 4],
  ); // f32[B, KV, G, S, D]
  const q = reshape(grouped, [0, 0, -1, D]); // f32[B, KV, G*S, D]
  const k = keyed(turn(qkv('k_proj'), KV));
  const scores = matmul(q, k, { alpha: 1 / Math.sqrt(D) }); // f32[B, KV, G*S, S]
  const v = keyed(qkv('v_proj'));
  const context = matmul(softmax(add(scores, model.mask)), v, { transB: true }); // f32[B, KV, G*S, D]
  const byPosition = transpose(reshapeLike(context, grouped), [0, 3, 1, 2, 4]); // f32[B, S, KV, G, D]
  return reshape(byPosition, [-1, headCount * D]);
}
