// What serving needs of a base beyond the package itself: the decode graph and its weights, derived once and kept in the
// base's folder, where the server opens them and devices download theirs.

import { writeFile } from 'node:fs/promises';
import { encodeOnnx } from '../../graph/onnx/encode.ts';
import { must } from '../../lib/errors.ts';
import { derive, derivedFile } from '../base/base-derived.ts';
import type { Base, BaseFile } from '../base/base-package.ts';
import { int8DecodeWeights, int8WeightsName, type WeightSign } from './decode-weights.ts';
import { DEVICE_GRAPH_NAME } from './device-graph-name.ts';
import { decodeGraph } from './llama-decode.ts';

/** The path of the base's decode graph; makes the graph and its weights when they are missing. */
export function decodePackage(base: Base, sign: WeightSign): Promise<string> {
  return derive(base, graphName(sign), async (target) => {
    const weights = await int8DecodeWeights(base, sign);
    const graph = decodeGraph({ config: base.config, weights });
    await writeFile(target, encodeOnnx(graph));
  });
}

/** The files that a device downloads: what it decodes with, and of the package all but the floats. */
export async function deviceFiles(base: Base): Promise<readonly BaseFile[]> {
  const small = base.files.filter(({ name }) => name !== 'model.safetensors');
  return [...small, ...(await decodeFiles(base))];
}

/** The files to decode with: the graph and its weights, made when they are missing.
 *  A device keeps files under their hashes, so that is what this graph calls its weights. */
export async function decodeFiles(base: Base): Promise<readonly BaseFile[]> {
  await derive(base, DEVICE_GRAPH_NAME, async (target) => {
    const weights = await int8DecodeWeights(base, 'i8', ({ sha256 }) => sha256);
    const graph = decodeGraph({ config: base.config, weights });
    await writeFile(target, encodeOnnx(graph));
  });
  const names = [DEVICE_GRAPH_NAME, int8WeightsName('i8')];
  return Promise.all(
    names.map(async (name) => must(await derivedFile(base, name), `${name}, which was just made`)),
  );
}

function graphName(sign: WeightSign): string {
  return `decode-${sign}.v6.onnx`;
}
