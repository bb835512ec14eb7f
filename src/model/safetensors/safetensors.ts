// Safetensors files on a disk.

import { statSync } from 'node:fs';
import { readFileRange } from '../file-range.ts';
import { openTensors, type Safetensors } from './safetensors-tensors.ts';

/** Opens the file; its header is checked here, so that a truncated or damaged file is refused before any work.
 *  Throws BAD_INPUT naming the file and the tensor. */
export function readSafetensors(path: string): Safetensors {
  const fileBytes = statSync(path).size;
  return openTensors((offset, length) => readFileRange(path, offset, length), fileBytes, path);
}
