// The adapters of a decode batch, stacked as the decode graph reads them: slot b of every input belongs to row b.
// All slots have the rank of the largest adapter among them; smaller ones are padded with zeros.

import type { LlamaConfig } from '../model/llama-config.ts';
import { MAX_LORA_RANK } from '../model/lora/lora.ts';
import { type LoraInput, loraInputs, paddedRank } from '../model/lora/lora-stack.ts';
import { type HostTensor, hostTensor } from '../runtime/host-tensor.ts';
import type { AdapterImage } from './core/adapter-image.ts';

/** A fixed number of slots. The system hands out their memory as it is first touched. */
export class AdapterSlots {
  readonly #inputs: readonly LoraInput[];
  readonly #stacks: readonly Float32Array[];
  /** What each slot holds at the current rank; dense from 0. */
  readonly #images: AdapterImage[] = [];
  #rank = paddedRank(1);
  #feeds: Readonly<Record<string, HostTensor>> | null = null;

  constructor(config: LlamaConfig, slots: number) {
    this.#inputs = loraInputs(config);
    this.#stacks = this.#inputs.map(
      ({ groups, inner }) => new Float32Array(slots * groups * MAX_LORA_RANK * inner),
    );
  }

  /** Adds a row's adapter behind the others. */
  push(image: AdapterImage): void {
    this.#images.push(image);
    this.#feeds = null;
    if (!this.#fitRank()) this.#fill(this.#images.length - 1, image);
  }

  /** Removes a slot; the last slot's adapter takes its place. */
  remove(slot: number): void {
    const removed = this.#images[slot];
    const last = this.#images.pop();
    this.#feeds = null;
    const isMoved = last !== undefined && slot < this.#images.length;
    if (isMoved) this.#images[slot] = last;
    if (!this.#fitRank() && isMoved && last !== removed) this.#fill(slot, last);
  }

  /** All slots as inputs of the decode graph; the same objects until a slot is added or removed. */
  feeds(): Readonly<Record<string, HostTensor>> {
    const B = this.#images.length;
    this.#feeds ??= Object.fromEntries(
      this.#inputs.map(({ name, dims, groups, inner }, i) => {
        const used = (this.#stacks[i] as Float32Array).subarray(0, B * groups * this.#rank * inner);
        return [name, hostTensor(used, [B, ...dims(this.#rank)])];
      }),
    );
    return this.#feeds;
  }

  /** Moves to the rank that the adapters need now; true when all slots were filled anew for it. */
  #fitRank(): boolean {
    const rank = Math.max(paddedRank(1), ...this.#images.map((image) => image.rank));
    if (rank === this.#rank) return false;
    this.#rank = rank;
    for (const [slot, image] of this.#images.entries()) this.#fill(slot, image);
    return true;
  }

  #fill(slot: number, image: AdapterImage): void {
    const R = this.#rank;
    for (const [i, { groups, inner }] of this.#inputs.entries()) {
      const stack = this.#stacks[i] as Float32Array;
      const source = image.arrays[i] as Float32Array;
      const start = slot * groups * R * inner;
      if (image.rank === R) stack.set(source, start);
      else
        padGroups(source, { groups, size: image.rank * inner }, stack, { start, size: R * inner });
    }
  }
}

/** Copies groups of numbers into larger places, whose rest becomes zero. */
function padGroups(
  source: Float32Array,
  from: { readonly groups: number; readonly size: number },
  target: Float32Array,
  to: { readonly start: number; readonly size: number },
): void {
  for (let group = 0; group < from.groups; group += 1) {
    const start = to.start + group * to.size;
    target.set(source.subarray(group * from.size, (group + 1) * from.size), start);
    target.fill(0, start + from.size, start + to.size);
  }
}
