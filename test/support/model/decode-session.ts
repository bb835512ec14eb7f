// A decode graph on its own, without an engine around it.

import { encodeOnnx } from '../../../src/graph/onnx/encode.ts';
import { type AdapterImage, zeroImage } from '../../../src/inference/core/adapter-image.ts';
import { bucketOf, KvBlock } from '../../../src/inference/core/kv-block.ts';
import { causalMask, stepInputs } from '../../../src/inference/core/step-inputs.ts';
import { must } from '../../../src/lib/errors.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import { type DecodeWeightsOver, decodeGraph } from '../../../src/model/decode/llama-decode.ts';
import { openSession } from '../../../src/runtime/session.ts';

/** A graph that gives the logits of every position. */
export interface DecodeSession {
  /** The logits after each of the tokens, which are run in chunks of this many over a cache. */
  logits(
    ids: readonly number[],
    options?: { readonly adapter?: AdapterImage; readonly chunk?: number },
  ): Promise<readonly Float32Array[]>;
  close(): Promise<void>;
}

/** Builds the graph with these weights, which lie in the base's folder, and opens it. */
export async function openDecodeSession(
  { config, dir }: Base,
  weights: DecodeWeightsOver,
): Promise<DecodeSession> {
  const bytes = encodeOnnx(decodeGraph({ config, weights }));
  const session = await openSession(bytes, { externalDataFolder: dir });
  const V = config.vocabSize;
  const noAdapter = zeroImage(config);
  return {
    async logits(ids, { adapter = noAdapter, chunk = ids.length } = {}) {
      const block = new KvBlock(config, bucketOf(ids.length));
      block.addRow();
      const rows: Float32Array[] = [];
      for (let past = 0; past < ids.length; past += chunk) {
        const part = ids.slice(past, past + chunk);
        block.setBucket(bucketOf(past + part.length));
        const batch = { block, lora: adapter.feeds, ids: [part], past: [past] };
        const inputs = stepInputs(batch, causalMask(part.length), [...part.keys()]);
        const outputs = await session.run({ ...block.feeds(), ...adapter.feeds, ...inputs });
        block.append(0, past, must(outputs.fresh, 'keys and values'), 0);
        const all = must(outputs.logits, 'logits').data as Float32Array;
        for (const s of part.keys()) rows.push(all.slice(s * V, (s + 1) * V));
      }
      return rows;
    },
    close: () => session.close(),
  };
}

/** The largest difference between two lists of logits. */
export function largestDifference(
  a: readonly ArrayLike<number>[],
  b: readonly ArrayLike<number>[],
): number {
  let largest = 0;
  for (const [i, row] of a.entries())
    for (let j = 0; j < row.length; j += 1) {
      const difference = Math.abs(Number(row[j]) - Number(b[i]?.[j]));
      if (!(difference <= largest)) largest = difference; // NaN is the largest of all
    }
  return largest;
}
