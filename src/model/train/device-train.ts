// The graphs that a device trains with, made once per base and LoRA and kept in the base's folder. Their weights are those
// that the device decodes with, so that a graph is all that it has to fetch.

import { writeFile } from 'node:fs/promises';
import type { Graph } from '../../graph/graph.ts';
import { encodeOnnx } from '../../graph/onnx/encode.ts';
import { canonicalJson, type Json } from '../../lib/canonical-json.ts';
import { must } from '../../lib/errors.ts';
import { textSha256 } from '../../lib/text-sha256.ts';
import { derive, derivedFile } from '../base/base-derived.ts';
import type { Base, BaseFile } from '../base/base-package.ts';
import { openInt8Weights } from '../decode/decode-weights.ts';
import { type DeviceTrainGraphName, deviceTrainGraphFile } from '../decode/device-graph-name.ts';
import { type LoraShape, loraLayers } from '../lora/lora.ts';
import { int8TrainWeights } from './device-train-weights.ts';
import { prefixGraph, scoreGraph, type TrainGraphOptions, trainStepGraph } from './llama-train.ts';

/** What training graphs are made for. */
export interface DeviceTrainShape {
  readonly lora: LoraShape;
  /** No example is longer. */
  readonly maxTokens: number;
}

const GRAPHS: Readonly<Record<DeviceTrainGraphName, (options: TrainGraphOptions) => Graph>> = {
  prefix: prefixGraph,
  step: trainStepGraph,
  score: scoreGraph,
};

/** The files to train with besides those of the base, made when they are missing: the graphs of a step, of scoring, and
 *  of the frozen lower layers where there are some. */
export async function deviceTrainFiles(
  base: Base,
  shape: DeviceTrainShape,
): Promise<readonly BaseFile[]> {
  const prefixLayers = Math.min(...loraLayers(base.config, shape.lora));
  const key = textSha256(canonicalJson(shape as unknown as Json)).slice(0, 12);
  const names: readonly DeviceTrainGraphName[] =
    prefixLayers === 0 ? ['step', 'score'] : ['prefix', 'step', 'score'];
  const files: BaseFile[] = [];
  for (const name of names) {
    const file = deviceTrainGraphFile(name, key);
    await derive(base, file, async (target) => {
      const weights = int8TrainWeights(
        base.config,
        await openInt8Weights(base, 'i8', ({ sha256 }) => sha256),
      );
      const graph = GRAPHS[name]({ config: base.config, weights, ...shape, prefixLayers });
      await writeFile(target, encodeOnnx(graph));
    });
    files.push(must(await derivedFile(base, file), `${file}, which was just made`));
  }
  return files;
}
