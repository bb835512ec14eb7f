// What a run of the decode graph needs beyond its cache and adapters, from rows and what each continues with.

import { type HostTensor, hostTensor } from '../runtime/host-tensor.ts';
import type { KvBlock } from './kv-block.ts';

/** Added to a score that must not count: after softmax it is exactly zero, in any company. */
const MASKED = -1e9;

/** Rows that run together: row b of the block continues with ids[b], which all have one length S. */
export interface Batch {
  readonly block: KvBlock;
  /** The LoRA inputs for as many rows. */
  readonly lora: Readonly<Record<string, HostTensor>>;
  readonly ids: readonly (readonly number[])[];
  /** Positions that each row has in the block. The block has room for S more. */
  readonly past: readonly number[];
}

/** The small inputs of a run, which differ each time; `newMask` is `causalMask` of S. */
export function stepInputs(
  { block, ids, past }: Batch,
  newMask: HostTensor,
): Readonly<Record<string, HostTensor>> {
  const B = ids.length;
  const S = ids[0]?.length ?? 0;
  const T = block.bucket;
  const mask = new Float32Array(B * T);
  for (const [b, tokens] of past.entries()) mask.fill(MASKED, b * T + tokens, (b + 1) * T);
  const positions = past.flatMap((tokens) => Array.from({ length: S }, (_, s) => tokens + s));
  return {
    ids: hostTensor(BigInt64Array.from(ids.flat(), BigInt), [B, S]),
    positions: hostTensor(BigInt64Array.from(positions, BigInt), [B, S]),
    past_mask: hostTensor(mask, [B, 1, 1, T]),
    new_mask: newMask,
  };
}

/** Which of S new positions see which: f32[1, 1, S*G, S], where row s*G+g, query head g of position s, sees up to s. */
export function causalMask(S: number, G: number): HostTensor {
  const mask = new Float32Array(S * G * S);
  for (let row = 0; row < S * G; row += 1)
    mask.fill(MASKED, row * S + Math.floor(row / G) + 1, (row + 1) * S);
  return hostTensor(mask, [1, 1, S * G, S]);
}
