// What a run learns that goes on from an earlier adapter: all that is new to it, and a little of what it knows, so that
// the new does not push out the old.

import { type Random, shuffled } from './random.ts';

/** However little is new, this much of the old is repeated: a gradient of one kind of example alone would lead astray. */
const LEAST_REPLAY = 8;

/** Anything of a dataset. */
interface Item {
  readonly split: 'train' | 'validation' | 'holdout';
  readonly sha256: string;
}

/** The items without those of the train part that are neither new nor drawn for the replay: `replay` for each new one.
 *  The draw does not depend on the order of the items. */
export function withReplay<T extends Item>(
  items: readonly T[],
  { learnt }: { readonly learnt: readonly string[] },
  { replay, random }: { readonly replay: number; readonly random: Random },
): readonly T[] {
  const known = new Set(learnt);
  const isOld = ({ split, sha256 }: T) => split === 'train' && known.has(sha256);
  const old = items.filter(isOld).sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const newCount = items.filter((item) => item.split === 'train' && !isOld(item)).length;
  const drawn = shuffled(old, random).slice(
    0,
    Math.max(LEAST_REPLAY, Math.ceil(replay * newCount)),
  );
  const repeated = new Set(drawn);
  return items.filter((item) => !isOld(item) || repeated.has(item));
}
