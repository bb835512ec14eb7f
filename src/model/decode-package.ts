// What serving needs of a base beyond the package itself: the decode graph and its weights, derived once and kept in the
// base's folder, where servers and devices open the very same files.

import { writeFile } from 'node:fs/promises';
import { encodeOnnx } from '../graph/onnx/encode.ts';
import { must } from '../lib/errors.ts';
import { derive, derivedFile } from './base-derived.ts';
import type { Base, BaseFile } from './base-package.ts';
import { int8DecodeWeights, int8WeightsName, type WeightSign } from './decode-weights.ts';
import { decodeGraph } from './llama-decode.ts';

/** The path of the base's decode graph; makes the graph and its weights when they are missing. */
export function decodePackage(base: Base, sign: WeightSign): Promise<string> {
  return derive(base, graphName(sign), async (target) => {
    const weights = await int8DecodeWeights(base, sign);
    const graph = decodeGraph({ config: base.config, weights, logits: 'last' });
    await writeFile(target, encodeOnnx(graph));
  });
}

/** The files that a device downloads to decode with the base: the graph and its weights, made when they are missing. */
export async function decodeFiles(base: Base): Promise<readonly BaseFile[]> {
  await decodePackage(base, 'i8');
  const names = [graphName('i8'), int8WeightsName('i8')];
  return Promise.all(
    names.map(async (name) => must(await derivedFile(base, name), `${name}, which was just made`)),
  );
}

function graphName(sign: WeightSign): string {
  return `decode-${sign}.v2.onnx`;
}
