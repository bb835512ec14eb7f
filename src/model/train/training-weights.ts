// A base's weights as training graphs read them: floats from the package itself, 8-bit copies from a derived file.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { derive } from '../base/base-derived.ts';
import type { Base } from '../base/base-package.ts';
import { LORA_MODULES, linearName, moduleSize } from '../lora/lora.ts';
import { readSafetensors } from '../safetensors/safetensors.ts';
import { encodeSafetensors, type TensorData } from '../safetensors/safetensors-writer.ts';
import { openWeightFile } from '../safetensors/weight-file.ts';
import { floatLinear, int8BackwardLinear, type LinearPrecision } from './frozen-linear.ts';
import type { FrozenWeights } from './llama-train.ts';
import { quantiseRows } from './quantise.ts';

const FLOATS = 'model.safetensors';
const INTEGERS = 'train-i8.v2.safetensors';

/** The frozen weights of a base for graphs that lie in its folder. The 8-bit copies are made once per base. */
export async function trainingWeights(
  base: Base,
  precision: LinearPrecision,
): Promise<FrozenWeights> {
  const tensor = openWeightFile(join(base.dir, FLOATS));
  if (precision === 'fp32')
    return { tensor, linear: (x, name) => floatLinear(x, tensor(`${name}.weight`)) };
  const path = await derive(base, INTEGERS, (target) => writeIntegers(base, target));
  const integers = openWeightFile(path);
  return {
    tensor,
    linear: (x, name) => {
      const quantised = { values: integers(name), scales: integers(`${name}.scales`) };
      return int8BackwardLinear(x, tensor(`${name}.weight`), quantised);
    },
  };
}

/** Each linear layer's W i8[out, in] with a scale per input: what gradients are multiplied by. */
async function writeIntegers(base: Base, target: string): Promise<void> {
  const floats = readSafetensors(join(base.dir, FLOATS));
  const tensors = new Map<string, TensorData>();
  for (let layer = 0; layer < base.config.layerCount; layer += 1) {
    for (const module of LORA_MODULES) {
      const name = linearName(layer, module);
      const size = moduleSize(base.config, module);
      const inputMajor = transposed(floats.read(`${name}.weight`), size.out, size.in); // f32[in, out]
      const { values, scales } = quantiseRows(inputMajor, size.in, size.out);
      const data = new Uint8Array(values.buffer, values.byteOffset, values.length);
      tensors.set(name, { dtype: 'I8', shape: [size.out, size.in], data });
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
