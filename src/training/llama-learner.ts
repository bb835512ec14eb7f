// The server's learner: its graphs are built from the recipe, over the weights in the base's folder.

import type { Graph } from '../graph/graph.ts';
import { encodeOnnx } from '../graph/onnx/encode.ts';
import type { Base } from '../model/base-package.ts';
import type { LinearPrecision } from '../model/frozen-linear.ts';
import {
  preferenceStepGraph,
  prefixGraph,
  scoreGraph,
  type TrainGraphOptions,
  trainStepGraph,
} from '../model/llama-train.ts';
import { type LoraShape, loraLayers } from '../model/lora.ts';
import { trainingWeights } from '../model/training-weights.ts';
import { openSession } from '../runtime/session.ts';
import { OnnxLearner, type TrainGraphName } from './core/onnx-learner.ts';

/** A learner with sessions to close. */
export type LlamaLearner = OnnxLearner;

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

const GRAPHS: Readonly<Record<TrainGraphName, (options: TrainGraphOptions) => Graph>> = {
  prefix: prefixGraph,
  step: trainStepGraph,
  preference: preferenceStepGraph,
  score: scoreGraph,
};

/** Opens a learner. Its sessions are opened when they are first needed. */
export async function openLlamaLearner(options: LlamaLearnerOptions): Promise<LlamaLearner> {
  const { base, lora, maxTokens, threads } = options;
  const { config } = base;
  const weights = await trainingWeights(base, options.precision);
  const prefixLayers = Math.min(...loraLayers(config, lora));
  const graphs = { config, weights, lora, maxTokens, prefixLayers };
  const sessions = { threads, arena: false, memoryPattern: false, externalDataFolder: base.dir };
  return new OnnxLearner(graphs, (name) => {
    // prepacked weights make a step 8% faster; what runs seldom shares the mapped file instead
    const prepacking = name === 'step' || name === 'preference';
    return openSession(encodeOnnx(GRAPHS[name](graphs)), { ...sessions, prepacking });
  });
}
