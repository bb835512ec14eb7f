// What a run of the decode graph needs beyond its cache and adapters, from rows and what each continues with.

import { type HostTensor, hostTensor } from '../../runtime/host-tensor.ts';
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

/** The small inputs of a run, which differ each time; `newMask` is `causalMask` of S, `asked` the new positions whose logits
 *  are wanted (-1: the last). */
export function stepInputs(
  { block, ids, past }: Batch,
  newMask: HostTensor,
  asked: readonly number[],
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
    past_mask: hostTensor(mask, [B, 1, 1, 1, T]),
    new_mask: newMask,
    asked: hostTensor(BigInt64Array.from(asked, BigInt), [asked.length]),
  };
}

/** Which of S new positions see which: f32[S, S], where position s sees up to s. */
export function causalMask(S: number): HostTensor {
  const mask = new Float32Array(S * S);
  for (let s = 0; s < S; s += 1) mask.fill(MASKED, s * S + s + 1, (s + 1) * S);
  return hostTensor(mask, [S, S]);
}
