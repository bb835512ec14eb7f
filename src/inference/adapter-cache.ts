// Adapters in memory, by the hash of their content: a new version is another entry, never a changed one. Who may use an
// adapter is not known here; that is asked on every request, before it comes to the engine.

import type { AdapterImage } from './core/adapter-image.ts';
import type { AdapterFolder, AdapterTier } from './engine-protocol.ts';

interface Entry {
  readonly image: Promise<AdapterImage>;
  readonly owner: string | undefined;
  /** 0 until it is loaded. */
  sizeBytes: number;
  /** Requests that use it: such an entry stays. */
  pins: number;
}

/** An adapter that stays in memory until `release`, which is called once. */
export interface PinnedAdapter {
  readonly image: Promise<AdapterImage>;
  /** Where it was: what another request is loading counts as in memory. */
  readonly tier: AdapterTier;
  release(): void;
}

/** Keeps the adapters used last, up to a number of bytes; those in use stay even beyond it. */
export class AdapterCache {
  readonly #load: (folder: AdapterFolder) => Promise<AdapterImage>;
  readonly #budgetBytes: number;
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>();

  constructor(load: (folder: AdapterFolder) => Promise<AdapterImage>, budgetBytes: number) {
    this.#load = load;
    this.#budgetBytes = budgetBytes;
  }

  /** Bytes of all adapters in memory. */
  get sizeBytes(): number {
    return [...this.#entries.values()].reduce((sum, entry) => sum + entry.sizeBytes, 0);
  }

  /** The adapter, loaded if it is not there, and kept until it is released. */
  pin(folder: AdapterFolder): PinnedAdapter {
    const tier = this.#entries.has(folder.sha256) ? 'memory' : 'disk';
    const entry = this.#use(folder);
    entry.pins += 1;
    const release = () => {
      entry.pins -= 1;
      this.#evict();
    };
    return { image: entry.image, tier, release };
  }

  /** Loads an adapter that will be asked for soon. Should that fail, whoever asks for it is told. */
  warm(folder: AdapterFolder): void {
    this.#use(folder);
  }

  /** Drops the adapters of an owner: at once, or when the requests that use them have ended. */
  forget(owner: string): void {
    for (const [sha256, entry] of this.#entries)
      if (entry.owner === owner) this.#entries.delete(sha256);
  }

  #use(folder: AdapterFolder): Entry {
    const entry = this.#entries.get(folder.sha256) ?? this.#start(folder);
    this.#entries.delete(folder.sha256);
    this.#entries.set(folder.sha256, entry);
    return entry;
  }

  #start(folder: AdapterFolder): Entry {
    const { owner } = folder;
    const entry: Entry = { image: this.#load(folder), owner, sizeBytes: 0, pins: 0 };
    entry.image.then(
      (image) => {
        entry.sizeBytes = image.sizeBytes;
        this.#evict();
      },
      // a miss always loads again
      () => this.#entries.delete(folder.sha256),
    );
    return entry;
  }

  #evict(): void {
    let excess = this.sizeBytes - this.#budgetBytes;
    for (const [sha256, entry] of this.#entries) {
      if (excess <= 0) return;
      if (entry.pins > 0 || entry.sizeBytes === 0) continue;
      this.#entries.delete(sha256);
      excess -= entry.sizeBytes;
    }
  }
}
