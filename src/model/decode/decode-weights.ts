// A base's weights for the decode graph: 8-bit integers from a derived file, or the package's own floats, which are slow
// and exact.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '../../graph/ir.ts';
import { matmul } from '../../graph/ops/matrix.ts';
import { concat } from '../../graph/ops/reshape.ts';
import { f32 } from '../../graph/tensor.ts';
import { must } from '../../lib/errors.ts';
import { derive, derivedFile } from '../base/base-derived.ts';
import type { Base, BaseFile } from '../base/base-package.ts';
import { type LlamaConfig, llamaTensors, ropeFrequencies } from '../llama-config.ts';
import { linearName } from '../lora/lora.ts';
import { LORA_SITES, type LoraSite, siteLayout } from '../lora/lora-stack.ts';
import { readSafetensors } from '../safetensors/safetensors.ts';
import { encodeSafetensors, type TensorData } from '../safetensors/safetensors-writer.ts';
import { openWeightFile, type WeightFile } from '../safetensors/weight-file.ts';
import { siteName } from '../train/device-train-weights.ts';
import { int8Linear, int8WeightsIn, rowConstants } from './int8-linear.ts';
import { type DecodeWeights, type DecodeWeightsOver, EMBEDDING_NAME } from './llama-decode.ts';
import { quantiseColumns } from './quantise-columns.ts';

const PACKAGE = 'model.safetensors';

/** The integers that the weights are. Signed ones are faster; on processors without the VNNI instructions their products
 *  saturate, so those take the same numbers unsigned. */
export type WeightSign = 'i8' | 'u8';

/** The package's floats. The graph must lie in the base's folder. */
export function floatDecodeWeights(base: Base): DecodeWeightsOver {
  const tensor = openWeightFile(join(base.dir, PACKAGE));
  const { cos, sin } = ropeTables(base.config);
  const shape = [base.config.contextLength, base.config.headSize / 2];
  const product = (x: Tensor, name: string) => matmul(x, tensor(name), { transB: true });
  const weights: DecodeWeights = {
    tensor,
    rope: { cos: f32(shape, cos), sin: f32(shape, sin) },
    linear: (x, layer, site) => {
      const parts = weightNames(base.config, layer, site).map((name) => product(x, name));
      return parts.length === 1 ? must(parts[0], 'one part') : concat(parts, 2);
    },
    head: (x) => product(x, headName(base.config)),
  };
  return () => weights;
}

/** The file of 8-bit weights in a base's folder. A new layout or rounding needs a new version in its name. */
export function int8WeightsName(sign: WeightSign): string {
  return `decode-${sign}.v2.safetensors`;
}

/** The 8-bit weights, derived from the package once. The graph must lie in their folder; `nameOf` is what they are called
 *  there, when that is not the base's. */
export async function int8DecodeWeights(
  base: Base,
  sign: WeightSign,
  nameOf?: (file: BaseFile) => string,
): Promise<DecodeWeightsOver> {
  const tensor = await openInt8Weights(base, sign, nameOf);
  const matrix = (name: string) => int8WeightsIn(tensor, name);
  return (ids) => {
    const constants = rowConstants(ids);
    return {
      tensor,
      rope: { cos: tensor('rope.cos'), sin: tensor('rope.sin') },
      linear: (x, layer, site) => int8Linear(x, matrix(siteName(layer, site)), constants),
      head: (x) => int8Linear(x, matrix('head'), rowConstants(x)),
    };
  };
}

/** The file of 8-bit weights for graphs in its folder; as int8DecodeWeights. */
export async function openInt8Weights(
  base: Base,
  sign: WeightSign,
  nameOf?: (file: BaseFile) => string,
): Promise<WeightFile> {
  const own = int8WeightsName(sign);
  const path = await derive(base, own, (target) => writeInt8Weights(base, sign, target));
  const file = must(await derivedFile(base, own), `${own}, which was just made`);
  return openWeightFile(path, nameOf?.(file) ?? own);
}

async function writeInt8Weights(base: Base, sign: WeightSign, target: string): Promise<void> {
  const { config } = base;
  const floats = readSafetensors(join(base.dir, PACKAGE));
  const tensors = new Map<string, TensorData>();
  const float = (name: string, shape: readonly number[], data: Float32Array) =>
    tensors.set(name, { dtype: 'F32', shape, data });
  for (const [name, shape] of llamaTensors(config))
    if (shape.length === 1 || name === EMBEDDING_NAME) float(name, shape, floats.read(name));
  const { cos, sin } = ropeTables(config);
  float('rope.cos', [config.contextLength, config.headSize / 2], cos);
  float('rope.sin', [config.contextLength, config.headSize / 2], sin);
  const add = (name: string, sources: readonly string[], inputs: number) => {
    const weights = joined(sources.map((source) => floats.read(source)));
    for (const [part, data] of integerTensors(weights, inputs, sign))
      tensors.set(name + part, data);
  };
  for (let layer = 0; layer < config.layerCount; layer += 1)
    for (const site of LORA_SITES)
      add(siteName(layer, site), weightNames(config, layer, site), siteLayout(config, site).in);
  add('head', [headName(config)], config.hiddenSize);
  await writeFile(target, encodeSafetensors(tensors, {}));
}

/** W f32[out, in] as three tensors, by what their names end with. */
function integerTensors(
  weights: Float32Array,
  inputs: number,
  sign: WeightSign,
): readonly (readonly [string, TensorData])[] {
  const outputs = weights.length / inputs;
  const { values, scales, zeros } = quantiseColumns(weights, outputs, inputs);
  const dtype = sign === 'i8' ? 'I8' : 'U8';
  const bytes = (numbers: Int8Array) =>
    Uint8Array.from(numbers, (number) => (sign === 'i8' ? number : number + 128));
  return [
    ['', { dtype, shape: [inputs, outputs], data: bytes(values) }],
    ['.scales', { dtype: 'F32', shape: [outputs], data: scales }],
    ['.zeros', { dtype, shape: [outputs], data: bytes(zeros) }],
  ];
}

/** cos and sin of every position's angles, f32[P, D/2], times D^-0.25. */
function ropeTables(config: LlamaConfig): { cos: Float32Array; sin: Float32Array } {
  const frequencies = ropeFrequencies(config);
  const scale = config.headSize ** -0.25;
  const table = (of: (angle: number) => number) =>
    Float32Array.from({ length: config.contextLength * frequencies.length }, (_, i) => {
      const position = Math.floor(i / frequencies.length);
      return scale * of(position * (frequencies[i % frequencies.length] as number));
    });
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

function weightNames(config: LlamaConfig, layer: number, site: LoraSite): readonly string[] {
  return siteLayout(config, site).modules.map((module) => `${linearName(layer, module)}.weight`);
}

function headName(config: LlamaConfig): string {
  return config.tiedEmbeddings ? EMBEDDING_NAME : 'lm_head.weight';
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
