// The server's learner: its graphs are built from the recipe, over the weights in the base's folder.

import { encodeOnnx } from '../graph/onnx/encode.ts';
import type { Base } from '../model/base/base-package.ts';
import { type LoraShape, loraLayers } from '../model/lora/lora.ts';
import type { LinearPrecision } from '../model/train/frozen-linear.ts';
import {
  learnGraph,
  prefixGraph,
  scoreGraph,
  type TrainGraphOptions,
} from '../model/train/llama-train.ts';
import { floatTrainingWeights, int8TrainingWeights } from '../model/train/training-weights.ts';
import { HostTensor, hostTensor } from '../runtime/host-tensor.ts';
import { exactWeightSign } from '../runtime/integer-products.ts';
import type { Session } from '../runtime/ort-session.ts';
import { openSession } from '../runtime/session.ts';
import { type LearnerLimits, OnnxLearner, type TrainGraphName } from './core/onnx-learner.ts';

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
  readonly limits?: LearnerLimits;
}

/** Opens a learner. Its sessions are opened when they are first needed: one for steps and scores, whose packed weights are most
 *  of what a run holds, and one for the frozen lower layers where there are any. */
export async function openLlamaLearner(options: LlamaLearnerOptions): Promise<LlamaLearner> {
  const { graphs, open } = await prepare(options);
  let learning: Promise<Session> | undefined;
  const learningSession = () => {
    learning ??= open(
      encodeOnnx(learnGraph(graphs), { condition: 'learns', outputs: ['gradient'] }),
    );
    return learning;
  };
  return new OnnxLearner(
    graphs,
    async (name) =>
      name === 'prefix'
        ? open(encodeOnnx(prefixGraph(graphs)))
        : viewOf(name, await learningSession()),
    options.limits,
  );
}

/** Opens a learner that can only score: without what is kept for the way back. */
export async function openLlamaScorer(options: LlamaLearnerOptions): Promise<LlamaLearner> {
  const { graphs, open } = await prepare(options);
  const builders = { prefix: prefixGraph, score: scoreGraph };
  return new OnnxLearner(graphs, (name) => {
    if (name !== 'prefix' && name !== 'score') throw new Error(`a scorer takes no ${name}`);
    return open(encodeOnnx(builders[name](graphs)));
  });
}

async function prepare({ base, lora, precision, maxTokens, threads }: LlamaLearnerOptions) {
  const { config } = base;
  const weights =
    precision === 'fp32'
      ? floatTrainingWeights(base)
      : await int8TrainingWeights(base, await exactWeightSign());
  const prefixLayers = Math.min(...loraLayers(config, lora));
  const graphs: TrainGraphOptions = { config, weights, lora, maxTokens, prefixLayers };
  const fixed = { threads, arena: false, memoryPattern: false, externalDataFolder: base.dir };
  return { graphs, open: (model: Uint8Array) => openSession(model, fixed) };
}

const whether = (learns: boolean) => new HostTensor('bool', Uint8Array.of(Number(learns)), []);
const [YES, NO] = [whether(true), whether(false)];

/** The learning session as if it were that of one graph alone: what the graph lacks is fed with zeros, which add nothing. */
function viewOf(name: Exclude<TrainGraphName, 'prefix'>, session: Session): Session {
  const learns = name === 'score' ? NO : YES;
  const fetched = name === 'score' ? ['logProbs'] : ['loss', 'gradient'];
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    run: (feeds) => {
      const M = feeds.targets?.dims[0] ?? 0;
      return session.run({ learns, weights: zeros(M, 1), ...noPair(M), ...feeds }, fetched);
    },
    close: () => session.close(),
  };
}

function noPair(M: number) {
  const one = zeros(1, 1);
  return { pairs: zeros(1, M), reference: one, pairWeights: one, thumbWeights: one };
}

function zeros(rows: number, columns: number): HostTensor {
  return hostTensor(new Float32Array(rows * columns), [rows, columns]);
}
