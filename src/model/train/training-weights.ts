// A base's weights as training graphs read them: floats from the package itself, 8-bit ones from derived files: forward those
// that answers are made with, backward copies with a scale for each input.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '../../graph/ir.ts';
import { split } from '../../graph/ops/reshape.ts';
import { must } from '../../lib/errors.ts';
import { derive } from '../base/base-derived.ts';
import type { Base } from '../base/base-package.ts';
import { openInt8Weights, type WeightSign } from '../decode/decode-weights.ts';
import { type Int8Weights, int8WeightsIn, ZERO_POINT } from '../decode/int8-linear.ts';
import { LORA_MODULES, linearName, moduleSize } from '../lora/lora.ts';
import { readSafetensors } from '../safetensors/safetensors.ts';
import { encodeSafetensors, type TensorData } from '../safetensors/safetensors-writer.ts';
import { openWeightFile, type WeightFile } from '../safetensors/weight-file.ts';
import { type SitePlace, sitePlaces } from './device-train-weights.ts';
import { floatLinear, int8TrainLinear } from './frozen-linear.ts';
import type { FrozenWeights } from './llama-train.ts';
import { quantiseRows } from './quantise.ts';

const FLOATS = 'model.safetensors';

/** The frozen weights of a base in floats, for graphs that lie in its folder. */
export function floatTrainingWeights({ dir }: Base): FrozenWeights {
  const tensor = openWeightFile(join(dir, FLOATS));
  return { tensor, linear: (x, name) => floatLinear(x, tensor(`${name}.weight`)) };
}

/** The frozen weights of a base in 8-bit integers of this sign, norms and embedding in floats, for graphs that lie in its folder.
 *  The files are made once per base. */
export async function int8TrainingWeights(base: Base, sign: WeightSign): Promise<FrozenWeights> {
  const forward = await openInt8Weights(base, sign);
  const copies = `train-${sign}.v2.safetensors`;
  const path = await derive(base, copies, (target) => writeCopies(base, sign, target));
  const backward = openWeightFile(path);
  const places = sitePlaces(base.config);
  return {
    tensor: openWeightFile(join(base.dir, FLOATS)),
    linear: (x, name) => {
      const place = must(places.get(name), `${name} is a linear layer`);
      const quantised = { values: backward(name), scales: backward(`${name}.scales`) };
      return int8TrainLinear(x, layerOf(forward, place), quantised);
    },
  };
}

/** A linear layer cut out of its site: constants, which are cut when the session is made. */
function layerOf(file: WeightFile, { site, index, sizes }: SitePlace): Int8Weights {
  const { values, scales, zeros } = int8WeightsIn(file, site);
  const own = (whole: Tensor, axis: number) => {
    const parts = sizes.length === 1 ? [whole] : split(whole, sizes, axis);
    return must(parts[index], 'a part for every module');
  };
  return { values: own(values, 1), scales: own(scales, 0), zeros: own(zeros, 0) };
}

/** Each linear layer's W [out, in] with a scale per input: what gradients are multiplied by. */
async function writeCopies(base: Base, sign: WeightSign, target: string): Promise<void> {
  const floats = readSafetensors(join(base.dir, FLOATS));
  const tensors = new Map<string, TensorData>();
  for (let layer = 0; layer < base.config.layerCount; layer += 1) {
    for (const module of LORA_MODULES) {
      const name = linearName(layer, module);
      const size = moduleSize(base.config, module);
      const inputMajor = transposed(floats.read(`${name}.weight`), size.out, size.in); // f32[in, out]
      const { values, scales } = quantiseRows(inputMajor, size.in, size.out);
      const data = Uint8Array.from(values, (value) => (sign === 'i8' ? value : value + ZERO_POINT));
      const dtype = sign === 'i8' ? 'I8' : 'U8';
      tensors.set(name, { dtype, shape: [size.out, size.in], data });
      tensors.set(`${name}.scales`, { dtype: 'F32', shape: [size.in], data: scales });
    }
  }
  await writeFile(target, encodeSafetensors(tensors, {}));
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      result[column * rows + row] = matrix[row * columns + column] as number;
    }
  }
  return result;
}
