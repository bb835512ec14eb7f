// What serving needs of a base beyond the package itself: the decode graph and its weights, derived once and kept in the
// base's folder, where servers and devices open the very same files.

import { writeFile } from 'node:fs/promises';
import { encodeOnnx } from '../graph/onnx/encode.ts';
import { must } from '../lib/errors.ts';
import { derive, derivedFile } from './base-derived.ts';
import type { Base, BaseFile } from './base-package.ts';
import { INT8_WEIGHTS, int8DecodeWeights } from './decode-weights.ts';
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

/** What a device downloads beside the canonical files to run the same graph, once `decodePackage` has made it. */
export async function decodeFiles(base: Base): Promise<readonly BaseFile[]> {
  const files = await Promise.all(
    [DECODE_GRAPH, INT8_WEIGHTS].map((name) => derivedFile(base, name)),
  );
  return files.map((file) => must(file, 'the decode graph and its weights have been made'));
}
