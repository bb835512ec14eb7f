// What a run learns that goes on from an earlier adapter: all that is new to it, and a little of what it knows, so that
// the new does not push out the old.

import { type Random, shuffled } from './random.ts';

/** However little is new, this much of the old is repeated: a gradient of one kind of example alone would lead astray. */
const LEAST_REPLAY = 4;

/** Anything of a dataset. */
interface Item {
  readonly split: 'train' | 'validation' | 'holdout';
  readonly sha256: string;
}

/** The dataset that a run goes on from. */
interface Known {
  readonly learnt: readonly string[];
}

/** The items without those of the train part that are neither new nor drawn for the replay: `replay` for each new one, and
 *  `beside` more. The draw does not depend on the order of the items. */
export function withReplay<T extends Item>(
  items: readonly T[],
  known: Known,
  options: { readonly replay: number; readonly beside?: number; readonly random: Random },
): readonly T[] {
  const { replay, beside = 0, random } = options;
  const isOld = oldIn(known);
  const old = items.filter(isOld).sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const wanted = Math.ceil(replay * newCount(items, known) + beside);
  const repeated = new Set(shuffled(old, random).slice(0, Math.max(LEAST_REPLAY, wanted)));
  return items.filter((item) => !isOld(item) || repeated.has(item));
}

/** How many items of the train part are new. */
export function newCount(items: readonly Item[], known: Known): number {
  const isOld = oldIn(known);
  return items.filter((item) => item.split === 'train' && !isOld(item)).length;
}

function oldIn({ learnt }: Known): (item: Item) => boolean {
  const known = new Set(learnt);
  return ({ split, sha256 }) => split === 'train' && known.has(sha256);
}
