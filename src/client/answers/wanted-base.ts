import type { Json } from '../../lib/canonical-json.ts';
import type { FileMessage } from '../../sync/protocol.ts';
import type { DeviceStorage } from '../storage/storage.ts';

const KEY = 'base';

/** The model package that the device's adapters belong to. */
export interface BaseFiles {
  readonly name: string;
  readonly sha256: string;
  readonly files: readonly FileMessage[];
}

/** A base that was asked for, and how far it is. */
export interface KeptBase extends BaseFiles {
  readonly isInstalled: boolean;
  /** Why it could not be installed. */
  readonly failure: string | null;
}

/** The base that the app asked for, if it did, and how far it is. */
export class WantedBase {
  readonly #storage: DeviceStorage;

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** Asks for the base to be installed in place of any other. */
  want(base: BaseFiles): Promise<void> {
    return this.#write({ ...base, isInstalled: false, failure: null });
  }

  /** Lets the base go; its bytes are deleted in the next pass. */
  async release(): Promise<void> {
    await this.#storage.write([[KEY, undefined]]);
  }

  /** The files to fetch. */
  async missing(): Promise<readonly FileMessage[]> {
    const kept = await this.read();
    return kept === null || kept.isInstalled || kept.failure !== null ? [] : kept.files;
  }

  async files(): Promise<readonly FileMessage[]> {
    return (await this.read())?.files ?? [];
  }

  /** All files are there. */
  async complete(): Promise<void> {
    const kept = await this.read();
    if (kept !== null && !kept.isInstalled && kept.failure === null) {
      await this.#write({ ...kept, isInstalled: true });
    }
  }

  /** It cannot be installed until the app asks again. */
  async fail(failure: string): Promise<void> {
    const kept = await this.read();
    if (kept !== null) await this.#write({ ...kept, failure });
  }

  /** null when the app asked for none. */
  async read(): Promise<KeptBase | null> {
    return ((await this.#storage.get(KEY)) as unknown as KeptBase | undefined) ?? null;
  }

  #write(kept: KeptBase): Promise<void> {
    return this.#storage.write([[KEY, kept as unknown as Json]]);
  }
}
