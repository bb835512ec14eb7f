// A base's weights as training graphs read them: floats from the package itself, 8-bit copies from a derived file.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '../graph/ir.ts';
import { derive } from './base-derived.ts';
import type { Base } from './base-package.ts';
import {
  floatLinear,
  int8Product,
  type LinearPrecision,
  withInt8Gradient,
} from './frozen-linear.ts';
import type { FrozenWeights } from './llama-train.ts';
import { LORA_MODULES, linearName, moduleSize } from './lora.ts';
import { quantiseRows } from './quantise.ts';
import { readSafetensors } from './safetensors.ts';
import { encodeSafetensors, type TensorData } from './safetensors-writer.ts';
import { openWeightFile } from './weight-file.ts';

const FLOATS = 'model.safetensors';
const INTEGERS = 'train-i8.v1.safetensors';

/** The frozen weights of a base for graphs that lie in its folder. The 8-bit copies are made once per base. */
export async function trainingWeights(
  base: Base,
  precision: LinearPrecision,
): Promise<FrozenWeights> {
  const floats = openWeightFile(join(base.dir, FLOATS));
  const float = (x: Tensor, name: string) => floatLinear(x, floats(`${name}.weight`));
  if (precision === 'fp32') return { tensor: floats, linear: float };
  const path = await derive(base, INTEGERS, (target) => writeIntegers(base, target));
  const integers = openWeightFile(path);
  const matrix = (name: string) => ({ values: integers(name), scales: integers(`${name}.scales`) });
  return {
    tensor: floats,
    linear: (x, name) => {
      const forward =
        precision === 'int8' ? int8Product(x, matrix(`${name}.forward`)) : float(x, name);
      return withInt8Gradient(x, forward, matrix(`${name}.backward`));
    },
  };
}

/** Each linear layer twice: W^T with a scale per output for the product, W with a scale per input for the gradient. */
async function writeIntegers(base: Base, target: string): Promise<void> {
  const floats = readSafetensors(join(base.dir, FLOATS));
  const tensors = new Map<string, TensorData>();
  for (let layer = 0; layer < base.config.layerCount; layer += 1) {
    for (const module of LORA_MODULES) {
      const name = linearName(layer, module);
      const size = moduleSize(base.config, module);
      const weights = floats.read(`${name}.weight`); // f32[out, in]
      const forward = quantiseRows(weights, size.out, size.in);
      const backward = quantiseRows(transposed(weights, size.out, size.in), size.in, size.out);
      addInt8(tensors, `${name}.forward`, forward);
      addInt8(tensors, `${name}.backward`, backward);
    }
  }
  await writeFile(target, encodeSafetensors(tensors, {}));
}

function addInt8(
  tensors: Map<string, TensorData>,
  name: string,
  { values, scales }: ReturnType<typeof quantiseRows>,
): void {
  const columns = scales.length;
  const data = new Uint8Array(values.buffer, values.byteOffset, values.length);
  tensors.set(name, { dtype: 'I8', shape: [values.length / columns, columns], data });
  tensors.set(`${name}.scales`, { dtype: 'F32', shape: [columns], data: scales });
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
