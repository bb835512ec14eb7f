// An adapter in memory, laid out for the decode graph. Never changed once made, so that any number of rows can use it.

import type { LlamaConfig } from '../../model/llama-config.ts';
import type { StoredLora } from '../../model/lora/lora.ts';
import { loraInputs, packLora, paddedRank } from '../../model/lora/lora-stack.ts';
import { type HostTensor, hostTensor } from '../../runtime/host-tensor.ts';

/** One adapter's numbers for each LoRA input of the decode graph. */
export interface AdapterImage {
  /** R: its rank, padded to one that batches run at. */
  readonly rank: number;
  /** In the order of `loraInputs`: f32[groups, R, inner]. */
  readonly arrays: readonly Float32Array[];
  readonly sizeBytes: number;
  /** The inputs of a run that has this adapter's row alone; they share the arrays. */
  readonly feeds: Readonly<Record<string, HostTensor>>;
}

/** Lays an adapter out. */
export function adapterImage(config: LlamaConfig, adapter: StoredLora): AdapterImage {
  const rank = paddedRank(adapter.shape.rank);
  return imageOf(config, rank, packLora(config, adapter, rank));
}

/** What a row without an adapter is fed: zeros, which change nothing. */
export function zeroImage(config: LlamaConfig): AdapterImage {
  const rank = paddedRank(1);
  const arrays = loraInputs(config).map(
    ({ groups, inner }) => new Float32Array(groups * rank * inner),
  );
  return imageOf(config, rank, arrays);
}

function imageOf(config: LlamaConfig, rank: number, arrays: readonly Float32Array[]): AdapterImage {
  const feeds = loraInputs(config).map(({ name, dims }, i) => [
    name,
    hostTensor(arrays[i] as Float32Array, [1, ...dims(rank)]),
  ]);
  const sizeBytes = arrays.reduce((sum, array) => sum + array.byteLength, 0);
  return { rank, arrays, sizeBytes, feeds: Object.fromEntries(feeds) };
}
