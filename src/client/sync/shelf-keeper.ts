import type { Json } from '../../lib/canonical-json.ts';
import { Turns } from '../../lib/turns.ts';
import type { DeviceStorage } from '../storage/storage.ts';
import { EMPTY_SHELF, type Shelf } from './shelf.ts';

const KEY = 'shelf';

/** Keeps the shelf on the disk; a step is there whole or not at all. */
export class ShelfKeeper {
  readonly #storage: DeviceStorage;
  readonly #turns = new Turns();

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  async read(): Promise<Shelf> {
    const kept = (await this.#storage.get(KEY)) as unknown as Partial<Shelf> | undefined;
    // what an earlier SDK kept has less in it
    return { ...EMPTY_SHELF, ...kept };
  }

  /** Runs the task while no step is taken. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#turns.take(task);
  }

  /** Takes one step, after those that were asked for before. */
  update(step: (shelf: Shelf) => Shelf): Promise<void> {
    return this.#turns.take(async () => {
      const before = await this.read();
      const after = step(before);
      if (after !== before) await this.#storage.write([[KEY, after as unknown as Json]]);
    });
  }
}
