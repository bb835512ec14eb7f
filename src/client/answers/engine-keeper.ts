// Keeps the engine on the base that is installed, and the adapter that is asked for inside it. What failed once is not
// tried again until the app says so: a device without memory would try for ever.

import { Turns } from '../../lib/turns.ts';
import type { AdapterMessage } from '../../sync/protocol.ts';
import type { DeviceStorage } from '../storage/storage.ts';
import { adapterContent } from '../sync/adapter-files.ts';
import type { DeviceEngine } from './device-engine.ts';
import { contentOf, installedBase, textsOf } from './installed-base.ts';
import type { WantedBase } from './wanted-base.ts';

/** What an engine is kept from. */
interface KeeperParts {
  readonly storage: DeviceStorage;
  readonly base: WantedBase;
}

/** While a base is opened, its weights are in memory twice; then once, beside what a step needs. */
const MEMORY_PER_WEIGHT_BYTE = 2;

/** One engine, and what is in it. */
export class EngineKeeper {
  readonly #parts: KeeperParts;
  readonly #engine: DeviceEngine;
  readonly #memoryBytes: number;
  readonly #turns = new Turns();
  #opened: string | null = null;
  #hasFailed = false;

  constructor(parts: KeeperParts, engine: DeviceEngine, memoryBytes = Number.POSITIVE_INFINITY) {
    this.#parts = parts;
    this.#engine = engine;
    this.#memoryBytes = memoryBytes;
  }

  /** Why the engine cannot be used now; null when it can. */
  async flaw(): Promise<'NO_BASE' | 'MEMORY' | 'FAILED' | null> {
    const base = await installedBase(this.#parts.base);
    if (base === null) return 'NO_BASE';
    if (base.weights.sizeBytes * MEMORY_PER_WEIGHT_BYTE > this.#memoryBytes) return 'MEMORY';
    return this.#hasFailed ? 'FAILED' : null;
  }

  /** The engine, open on the installed base and with the adapter in it. Throws what the engine or the disk throws. */
  openWith(adapter: AdapterMessage | null): Promise<DeviceEngine> {
    return this.#turns.take(async () => {
      await this.#openBase();
      if (adapter !== null && !(await this.#engine.hasAdapter(adapter.sha256)))
        await this.#putAdapter(adapter);
      return this.#engine;
    });
  }

  /** Notes that the engine failed; it is opened anew when it is used again. */
  fail(): void {
    this.#hasFailed = true;
    this.#opened = null;
  }

  forgetFailure(): void {
    this.#hasFailed = false;
  }

  close(): Promise<void> {
    this.#opened = null;
    return this.#engine.close();
  }

  async #openBase(): Promise<void> {
    const { storage } = this.#parts;
    const base = await installedBase(this.#parts.base);
    if (base === null) throw new Error('the base is not installed');
    if (this.#opened === base.sha256) return;
    await this.#engine.open({
      sha256: base.sha256,
      graph: await contentOf(storage, base.graph),
      weights: { name: base.weights.sha256, content: await contentOf(storage, base.weights) },
      ...(await textsOf(storage, base)),
    });
    this.#opened = base.sha256;
  }

  async #putAdapter(adapter: AdapterMessage): Promise<void> {
    const content = await adapterContent(this.#parts.storage, adapter);
    await this.#engine.putAdapter(adapter.sha256, content);
  }
}
