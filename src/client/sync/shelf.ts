// Which adapters a device wants, holds and owes the server a word about: pure steps over one value, which is written as
// a whole together with the cursor. Knows nothing of files and networks.

import type {
  Acknowledgement,
  AdapterMessage,
  FeedStep,
  FileMessage,
} from '../../sync/protocol.ts';
import { feedChecksum } from '../../sync/protocol-checksum.ts';
import { keptFiles } from './adapter-files.ts';

/** What a device knows of one mode. */
export interface Slot {
  /** To be installed. */
  readonly wanted: AdapterMessage | null;
  /** In use. */
  readonly installed: AdapterMessage | null;
  /** false: from before a resync, and not shown by the feed since. */
  readonly isConfirmed: boolean;
  /** Why the wanted one could not be installed. */
  readonly failure: string | null;
  /** The highest version that was ever installed here; 0: none was. */
  readonly newestVersion: number;
  /** The same of what ships with the server, which is numbered by itself. */
  readonly newestShipped: number;
}

/** All that a device knows of its adapters. */
export interface Shelf {
  readonly cursor: string | null;
  readonly slots: Readonly<Record<string, Slot>>;
  /** Words for the server, oldest first. */
  readonly owed: readonly Acknowledgement[];
  /** By mode: what ships with the server, also where the user has an adapter of their own. */
  readonly shipped: Readonly<Record<string, AdapterMessage>>;
}

/** A device that knows nothing yet. */
export const EMPTY_SHELF: Shelf = { cursor: null, slots: {}, owed: [], shipped: {} };

const EMPTY_SLOT: Slot = {
  wanted: null,
  installed: null,
  isConfirmed: true,
  failure: null,
  newestVersion: 0,
  newestShipped: 0,
};

/** The shelf after one step of the feed. What is revoked is out of use in this very step. */
export function takeStep(shelf: Shelf, step: FeedStep): Shelf {
  const next =
    step.__typename === 'AdapterReady'
      ? want(shelf, step.adapter)
      : drop(shelf, step.modeKey, step.adapterId);
  return { ...next, cursor: step.cursor };
}

/** The shelf at the end of the feed: what a resync did not show again is removed. */
export function reachEnd(shelf: Shelf, cursor: string): Shelf {
  let next: Shelf = { ...shelf, cursor };
  for (const [mode, { installed, isConfirmed }] of Object.entries(shelf.slots)) {
    if (isConfirmed) continue;
    if (installed !== null && isOwn(installed)) next = drop(next, mode, installed.id);
    next = withSlot(next, mode, { isConfirmed: true });
  }
  return next;
}

/** The shelf that has what ships with the server in each mode of which the user has no adapter, and nowhere else, and
 *  remembers what ships. */
export function takeShipped(shelf: Shelf, shipped: readonly AdapterMessage[]): Shelf {
  const modes = new Set([...Object.keys(shelf.slots), ...shipped.map(({ mode }) => mode.key)]);
  const byMode = Object.fromEntries(shipped.map((adapter) => [adapter.mode.key, adapter]));
  const isKnown = JSON.stringify(shelf.shipped) === JSON.stringify(byMode);
  let next = isKnown ? shelf : { ...shelf, shipped: byMode };
  for (const mode of modes) {
    const { wanted, installed } = shelf.slots[mode] ?? EMPTY_SLOT;
    const now = wanted ?? installed;
    const given = shipped.find((adapter) => adapter.mode.key === mode);
    if (now?.id === given?.id || [wanted, installed].some((one) => one && isOwn(one))) continue;
    if (given !== undefined) next = want(next, given);
    else if (now !== null) next = drop(next, mode, now.id);
  }
  return next;
}

/** Whether the adapter is the user's. */
function isOwn({ origin }: AdapterMessage): boolean {
  return origin !== 'SHIPPED';
}

/** Where a slot keeps the newest version of the adapter's kind. */
export function newestField(adapter: AdapterMessage): 'newestVersion' | 'newestShipped' {
  return isOwn(adapter) ? 'newestVersion' : 'newestShipped';
}

/** The checksum of what the feed has said, as the server counts it. */
export function checksumOf(shelf: Shelf): string {
  const entries = Object.entries(shelf.slots).flatMap(([mode, { wanted, installed }]) => {
    const own = [wanted, installed].find((adapter) => adapter !== null && isOwn(adapter));
    return own ? [[mode, own.id] as const] : [];
  });
  return feedChecksum(entries);
}

/** The wanted adapter's files are there and right: it takes the place of the one before. */
export function install(shelf: Shelf, { id, mode, version }: AdapterMessage): Shelf {
  const wanted = shelf.slots[mode.key]?.wanted;
  if (wanted?.id !== id) return shelf;
  const slot = { installed: wanted, wanted: null, failure: null, [newestField(wanted)]: version };
  const word = { adapterId: id, state: 'INSTALLED' as const, detail: null };
  return owe(withSlot(shelf, mode.key, slot), word);
}

/** The wanted adapter cannot be installed; the one in use stays. */
export function fail(shelf: Shelf, { id, mode }: AdapterMessage, detail: string): Shelf {
  if (shelf.slots[mode.key]?.wanted?.id !== id) return shelf;
  const failed = withSlot(shelf, mode.key, { failure: detail });
  return owe(failed, { adapterId: id, state: 'FAILED', detail });
}

/** The shelf without these adapters, which the server hears of as removed. */
export function without(shelf: Shelf, adapterIds: readonly string[]): Shelf {
  let next = shelf;
  for (const [mode, { wanted, installed }] of Object.entries(shelf.slots))
    for (const adapter of [wanted, installed])
      if (adapter !== null && adapterIds.includes(adapter.id)) next = drop(next, mode, adapter.id);
  return next;
}

/** Failed installations are tried again. */
export function forgetFailures(shelf: Shelf): Shelf {
  return Object.keys(shelf.slots).reduce<Shelf>(
    (next, mode) => withSlot(next, mode, { failure: null }),
    shelf,
  );
}

/** Owes the server a word on everything about which it is mistaken: a word came late, or this device was set back. */
export function reconcile(shelf: Shelf, heldIds: readonly string[]): Shelf {
  const installed = Object.values(shelf.slots).flatMap((slot) => slot.installed?.id ?? []);
  const isOwed = (id: string) => shelf.owed.some(({ adapterId }) => adapterId === id);
  const gone = heldIds.filter((id) => !installed.includes(id) && !isOwed(id));
  const unknown = installed.filter((id) => !heldIds.includes(id) && !isOwed(id));
  const words = [
    ...gone.map((adapterId) => ({ adapterId, state: 'REMOVED' as const, detail: null })),
    ...unknown.map((adapterId) => ({ adapterId, state: 'INSTALLED' as const, detail: null })),
  ];
  return words.reduce(owe, shelf);
}

/** The server has answered the oldest word; one that it refused means that the adapter must go. */
export function settleWord(shelf: Shelf, answer: 'taken' | 'refused'): Shelf {
  const [word, ...owed] = shelf.owed;
  const next = { ...shelf, owed };
  if (word === undefined || answer === 'taken' || word.state !== 'INSTALLED') return next;
  return dropEverywhere(next, word.adapterId);
}

/** The adapters to be installed, in the order of their modes. */
export function wantedAdapters(shelf: Shelf): readonly AdapterMessage[] {
  return Object.values(shelf.slots).flatMap(({ wanted, failure }) =>
    wanted !== null && failure === null ? [wanted] : [],
  );
}

/** Every file that an adapter on the shelf uses or will use. */
export function filesInUse(shelf: Shelf): readonly FileMessage[] {
  return Object.values(shelf.slots).flatMap(({ wanted, installed }) => [
    ...(wanted?.files ?? []),
    ...keptFiles(installed?.files ?? []),
  ]);
}

/** The shelf before the first step of a feed that is read again from null: what is installed stays in use meanwhile. */
export function beginAnew(shelf: Shelf): Shelf {
  const modes = Object.keys(shelf.slots);
  const forgotten = { wanted: null, isConfirmed: false, failure: null };
  return modes.reduce<Shelf>((next, mode) => withSlot(next, mode, forgotten), {
    ...shelf,
    cursor: null,
  });
}

function want(shelf: Shelf, adapter: AdapterMessage): Shelf {
  const mode = adapter.mode.key;
  const isInstalled = shelf.slots[mode]?.installed?.id === adapter.id;
  const wanted = isInstalled ? null : adapter;
  return withSlot(shelf, mode, { wanted, isConfirmed: true, failure: null });
}

function drop(shelf: Shelf, mode: string, adapterId: string): Shelf {
  const { wanted, installed } = shelf.slots[mode] ?? EMPTY_SLOT;
  // without the wanted one the mode has none: the one in use was superseded by it
  if (wanted?.id === adapterId) {
    const next = withSlot(shelf, mode, { wanted: null, failure: null });
    const isSuperseded = installed !== null && isOwn(installed) === isOwn(wanted);
    return isSuperseded ? drop(next, mode, installed.id) : next;
  }
  if (installed?.id !== adapterId) return shelf;
  const word = { adapterId, state: 'REMOVED' as const, detail: null };
  return owe(withSlot(shelf, mode, { installed: null }), word);
}

function dropEverywhere(shelf: Shelf, adapterId: string): Shelf {
  return Object.entries(shelf.slots).reduce<Shelf>(
    (next, [mode, { installed }]) =>
      installed?.id === adapterId ? withSlot(next, mode, { installed: null }) : next,
    shelf,
  );
}

function withSlot(shelf: Shelf, mode: string, slot: Partial<Slot>): Shelf {
  const before = shelf.slots[mode] ?? EMPTY_SLOT;
  return { ...shelf, slots: { ...shelf.slots, [mode]: { ...before, ...slot } } };
}

function owe(shelf: Shelf, word: Acknowledgement): Shelf {
  return { ...shelf, owed: [...shelf.owed, word] };
}
