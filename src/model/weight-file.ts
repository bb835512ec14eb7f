// The tensors of a safetensors file as weights of a graph: the graph points into the file, nothing is copied.

import { basename } from 'node:path';
import type { Tensor } from '../graph/ir.ts';
import { weight } from '../graph/tensor.ts';
import { must } from '../lib/errors.ts';
import { readSafetensors } from './safetensors.ts';

/** Finds a tensor by name; the same object every time. */
export type WeightFile = (name: string) => Tensor;

/** Opens a file for graphs that lie in the same folder. Floats must be F32. */
export function openWeightFile(path: string): WeightFile {
  const file = basename(path);
  const { tensors } = readSafetensors(path);
  const made = new Map<string, Tensor>();
  return (name) => {
    const { dtype, shape, offsetBytes } = must(tensors.get(name), `${file} has ${name}`);
    const place = { file, byteOffset: offsetBytes };
    const tensor = made.get(name) ?? weight(name, dtype === 'I8' ? 'i8' : 'f32', shape, place);
    made.set(name, tensor);
    return tensor;
  };
}
