import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AdapterSlots } from '../../src/inference/adapter-slots.ts';
import {
  type AdapterImage,
  adapterImage,
  zeroImage,
} from '../../src/inference/core/adapter-image.ts';
import { LORA_MODULES } from '../../src/model/lora/lora.ts';
import { packLora } from '../../src/model/lora/lora-stack.ts';
import { randomAdapter, SMALL_CONFIG as SMALL } from '../support/model/random-llama.ts';

const SMALL_CONFIG = { ...SMALL, hiddenSize: 16, intermediateSize: 24, layerCount: 1 };
const adapters = [3, 8, 12].map((rank) =>
  randomAdapter(SMALL_CONFIG, { rank, alpha: 8, modules: LORA_MODULES }, rank),
);
const images = [...adapters.map((one) => adapterImage(SMALL_CONFIG, one)), zeroImage(SMALL_CONFIG)];

/** What the graph reads for each slot, at the rank that all of them have. */
function slotsOf(slots: AdapterSlots, count: number): { rank: number; slots: number[][] } {
  const feeds = Object.values(slots.feeds());
  const rank = (feeds[0]?.dims[1] ?? 0) / 3; // A of q, k and v, one under the other
  const contents = Array.from({ length: count }, (_, slot) =>
    feeds.flatMap(({ data, dims }) => {
      expect(dims[0]).toBe(count);
      const size = data.length / count;
      return Array.from((data as Float32Array).subarray(slot * size, (slot + 1) * size));
    }),
  );
  return { rank, slots: contents };
}

function expected(image: AdapterImage, rank: number): number[] {
  const adapter = adapters[images.indexOf(image)];
  if (adapter !== undefined)
    return packLora(SMALL_CONFIG, adapter, rank).flatMap((array) => Array.from(array));
  const none = zeroImage(SMALL_CONFIG);
  return none.arrays.flatMap((array) => Array<number>((array.length / none.rank) * rank).fill(0));
}

test('hold what was put there, in any order, at the rank of the largest', () => {
  const action = fc.record({ remove: fc.boolean(), pick: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 14 }), (actions) => {
      const slots = new AdapterSlots(SMALL_CONFIG, 14);
      const held: AdapterImage[] = [];
      for (const { remove, pick } of actions) {
        const slot = pick % Math.max(1, held.length);
        if (remove && held.length > 0) {
          slots.remove(slot);
          const last = held.pop();
          if (last !== undefined && slot < held.length) held[slot] = last;
        } else {
          const image = images[pick % images.length] as AdapterImage;
          slots.push(image);
          held.push(image);
        }
      }
      if (held.length === 0) return;
      const { rank, slots: contents } = slotsOf(slots, held.length);
      expect(rank).toBe(Math.max(...held.map((image) => image.rank)));
      expect(contents).toEqual(held.map((image) => expected(image, rank)));
    }),
    { numRuns: 30 },
  );
});

test('give the same inputs until a slot changes', () => {
  const slots = new AdapterSlots(SMALL_CONFIG, 2);
  slots.push(images[0] as AdapterImage);
  const feeds = slots.feeds();
  expect(slots.feeds()).toBe(feeds);
  slots.push(images[1] as AdapterImage);
  expect(slots.feeds()).not.toBe(feeds);
});
