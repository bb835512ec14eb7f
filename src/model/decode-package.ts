// What serving needs of a base beyond the package itself: the decode graph and its weights, derived once and kept in the
// base's folder, where servers and devices open the very same files.

import { writeFile } from 'node:fs/promises';
import { encodeOnnx } from '../graph/onnx/encode.ts';
import { derive } from './base-derived.ts';
import type { Base } from './base-package.ts';
import { int8DecodeWeights } from './decode-weights.ts';
import { decodeGraph } from './llama-decode.ts';

/** The decode graph's file in a base's folder. */
export const DECODE_GRAPH = 'decode-i8.v1.onnx';

/** The path of the base's decode graph; makes the graph and its weights when they are missing. */
export function decodePackage(base: Base): Promise<string> {
  return derive(base, DECODE_GRAPH, async (target) => {
    const weights = await int8DecodeWeights(base);
    const graph = decodeGraph({ config: base.config, weights, logits: 'last' });
    await writeFile(target, encodeOnnx(graph));
  });
}
