// A Llama with a LoRA, run by ONNX Runtime: what the training loop learns with.

import type { Graph } from '../graph/graph.ts';
import { encodeOnnx } from '../graph/onnx/encode.ts';
import { must } from '../lib/errors.ts';
import type { Base } from '../model/base-package.ts';
import type { LinearPrecision } from '../model/frozen-linear.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import {
  preferenceStepGraph,
  prefixGraph,
  scoreGraph,
  type TrainGraphOptions,
  trainStepGraph,
} from '../model/llama-train.ts';
import { type LoraShape, loraLayers } from '../model/lora.ts';
import { trainingWeights } from '../model/training-weights.ts';
import { type HostTensor, hostTensor } from '../runtime/host-tensor.ts';
import type { Session } from '../runtime/ort-session.ts';
import { openSession } from '../runtime/session.ts';
import type { Batch } from './core/batch.ts';
import type { Learner, LossAndGradient } from './core/learner.ts';
import type { PreferenceBatch } from './core/preference-batch.ts';

/** A learner with sessions to close. */
export interface LlamaLearner extends Learner {
  close(): Promise<void>;
}

/** What a learner is made for. */
export interface LlamaLearnerOptions {
  readonly base: Base;
  readonly lora: LoraShape;
  readonly precision: LinearPrecision;
  /** No example is longer. */
  readonly maxTokens: number;
  /** Threads of one product. More than one pays only while there are fewer jobs than cores. */
  readonly threads: number;
}

/** Opens a learner. Its sessions are opened when they are first needed. */
export async function openLlamaLearner(options: LlamaLearnerOptions): Promise<LlamaLearner> {
  const { base, lora, maxTokens, threads } = options;
  const { config } = base;
  const weights = await trainingWeights(base, options.precision);
  const prefixLayers = Math.min(...loraLayers(config, lora));
  const graphs = { config, weights, lora, maxTokens, prefixLayers };
  const sessions = { threads, arena: false, memoryPattern: false, externalDataFolder: base.dir };
  return new OnnxLearner(graphs, (graph, { isStep }) =>
    // prepacked weights make a step 8% faster; what runs seldom shares the mapped file instead
    openSession(encodeOnnx(graph), { ...sessions, prepacking: isStep }),
  );
}

type Open = (graph: Graph, options: { readonly isStep: boolean }) => Promise<Session>;

type Feeds = Record<string, HostTensor>;

class OnnxLearner implements LlamaLearner {
  readonly #options: TrainGraphOptions;
  readonly #open: Open;
  readonly #sessions = new Map<string, Session>();
  /** What comes out of the frozen lower layers, per example: f32[length, H] */
  readonly #hidden = new Map<string, Float32Array>();

  constructor(options: TrainGraphOptions, open: Open) {
    this.#options = options;
    this.#open = open;
  }

  async step(batch: Batch, theta: Float32Array): Promise<LossAndGradient> {
    const session = await this.#session('step', trainStepGraph);
    const feeds = await this.#feeds(batch, theta);
    return lossAndGradient(await session.run({ ...feeds, weights: column(batch.weights) }));
  }

  async preferenceStep(batch: PreferenceBatch, theta: Float32Array): Promise<LossAndGradient> {
    const session = await this.#session('preference', preferenceStepGraph);
    const { pairs, reference, pairWeights, weights } = batch;
    const outputs = await session.run({
      ...(await this.#feeds(batch, theta)),
      weights: column(weights),
      pairs: hostTensor(pairs, [reference.length, weights.length]),
      reference: column(reference),
      pairWeights: column(pairWeights),
    });
    return lossAndGradient(outputs);
  }

  async logProbs(batch: Batch, theta: Float32Array): Promise<Float32Array> {
    const session = await this.#session('score', scoreGraph);
    const { logProbs } = await session.run(await this.#feeds(batch, theta));
    return floats(logProbs);
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.close();
    this.#sessions.clear();
  }

  async #session(name: string, build: (options: TrainGraphOptions) => Graph): Promise<Session> {
    const isStep = name === 'step' || name === 'preference';
    const session =
      this.#sessions.get(name) ?? (await this.#open(build(this.#options), { isStep }));
    this.#sessions.set(name, session);
    return session;
  }

  async #feeds(batch: Batch, theta: Float32Array): Promise<Feeds> {
    const { config, prefixLayers } = this.#options;
    const lower = lowerFeeds(batch, config);
    const start =
      prefixLayers === 0
        ? lower
        : { mask: must(lower.mask, 'a mask'), hidden: await this.#hiddenOf(batch, lower) };
    return {
      ...start,
      positions: hostTensor(batch.positions, [batch.positions.length]),
      targets: hostTensor(batch.targets, [batch.targets.length]),
      theta: hostTensor(theta, [theta.length]),
    };
  }

  /** Runs the frozen lower layers once per example, however often it is learned from. */
  async #hiddenOf(batch: Batch, feeds: Feeds): Promise<HostTensor> {
    const H = this.#options.config.hiddenSize;
    const rowSize = batch.length * H;
    if (batch.examples.some(({ sha256 }) => !this.#hidden.has(sha256))) {
      const session = await this.#session('prefix', prefixGraph);
      const hidden = floats((await session.run(feeds)).hidden);
      for (const [row, { sha256, ids }] of batch.examples.entries())
        this.#hidden.set(sha256, hidden.slice(row * rowSize, row * rowSize + ids.length * H));
    }
    const rows = new Float32Array(batch.examples.length * rowSize);
    for (const [row, { sha256 }] of batch.examples.entries())
      rows.set(must(this.#hidden.get(sha256), 'the prefix ran'), row * rowSize);
    return hostTensor(rows, [batch.examples.length, batch.length, H]);
  }
}

function lowerFeeds({ examples, length, ids }: Batch, config: LlamaConfig): Feeds {
  const queriesPerKey = config.headCount / config.kvHeadCount;
  return {
    ids: hostTensor(ids, [examples.length, length]),
    mask: hostTensor(causalMask(length, queriesPerKey), [1, 1, queriesPerKey * length, length]),
  };
}

// Far below any score, and still a number that can be added to.
const HIDDEN = -1e9;

/** f32[G, S, S]: HIDDEN where a position would look at a later one. */
function causalMask(length: number, repeats: number): Float32Array {
  const mask = new Float32Array(length * length * repeats);
  for (let row = 0; row < length * repeats; row += 1)
    mask.fill(HIDDEN, row * length + (row % length) + 1, (row + 1) * length);
  return mask;
}

function column(values: Float32Array): HostTensor {
  return hostTensor(values, [values.length, 1]);
}

function lossAndGradient({ loss, gradient }: Readonly<Feeds>): LossAndGradient {
  return { loss: Number(floats(loss)[0]), gradient: floats(gradient) };
}

function floats(tensor: HostTensor | undefined): Float32Array {
  return must(tensor, 'the graph has this output').data as Float32Array;
}
