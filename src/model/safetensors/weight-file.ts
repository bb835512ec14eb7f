// The tensors of a safetensors file as weights of a graph: the graph points into the file, nothing is copied.

import { basename } from 'node:path';
import type { DType } from '../../graph/dtype.ts';
import type { Tensor } from '../../graph/ir.ts';
import { weight } from '../../graph/tensor.ts';
import { must } from '../../lib/errors.ts';
import { readSafetensors } from './safetensors.ts';

/** The types that graphs take from files. */
const DTYPES: Readonly<Record<string, DType>> = { F32: 'f32', I8: 'i8', U8: 'u8' };

/** Finds a tensor by name; the same object every time. */
export type WeightFile = (name: string) => Tensor;

/** Opens a file for graphs that lie in the same folder, where it is called `file`. A tensor is F32, I8 or U8. */
export function openWeightFile(path: string, file = basename(path)): WeightFile {
  const { tensors } = readSafetensors(path);
  const made = new Map<string, Tensor>();
  return (name) => {
    const { dtype, shape, offsetBytes } = must(tensors.get(name), `${file} has ${name}`);
    const place = { file, byteOffset: offsetBytes };
    const type = must(DTYPES[dtype], `a type of ${name} that graphs take, not ${dtype}`);
    const tensor = made.get(name) ?? weight(name, type, shape, place);
    made.set(name, tensor);
    return tensor;
  };
}
