// Keeps the engine on the base that is installed, and the adapter that is asked for inside it. What failed once is not
// tried again until the app says so: a device without memory would try for ever.

import { Turns } from '../lib/turns.ts';
import { DEVICE_GRAPH_NAME } from '../model/device-graph-name.ts';
import type { AdapterMessage, FileMessage } from '../sync/protocol.ts';
import type { DeviceEngine, EngineFile } from './device-engine.ts';
import type { DeviceStorage } from './storage.ts';
import type { WantedBase } from './wanted-base.ts';

/** What an engine is kept from. */
interface KeeperParts {
  readonly storage: DeviceStorage;
  readonly base: WantedBase;
}

/** While a base is opened, its weights are in memory twice; then once, beside what a step needs. */
const MEMORY_PER_WEIGHT_BYTE = 2;

type Names = 'graph' | 'weights' | 'config' | 'tokenizer' | 'tokenizerConfig';

/** Which file of a base each is. The graph names its weights by their hash, so their version does not matter. */
const IS: Readonly<Record<Names, (name: string) => boolean>> = {
  graph: (name) => name === DEVICE_GRAPH_NAME,
  weights: (name) => /^decode-i8\..*\.safetensors$/.test(name),
  config: (name) => name === 'config.json',
  tokenizer: (name) => name === 'tokenizer.json',
  tokenizerConfig: (name) => name === 'tokenizer_config.json',
};

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
    const files = await this.#files();
    if (files === null) return 'NO_BASE';
    if (files.weights.sizeBytes * MEMORY_PER_WEIGHT_BYTE > this.#memoryBytes) return 'MEMORY';
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
    const base = await this.#parts.base.read();
    const files = await this.#files();
    if (base === null || files === null) throw new Error('the base is not installed');
    if (this.#opened === base.sha256) return;
    const text = async ({ sha256 }: FileMessage) =>
      new TextDecoder().decode(await this.#parts.storage.files.read(sha256));
    await this.#engine.open({
      sha256: base.sha256,
      graph: await this.#content(files.graph),
      weights: { name: files.weights.sha256, content: await this.#content(files.weights) },
      config: await text(files.config),
      tokenizer: await text(files.tokenizer),
      tokenizerConfig: await text(files.tokenizerConfig),
    });
    this.#opened = base.sha256;
  }

  async #putAdapter({ sha256, files }: AdapterMessage): Promise<void> {
    const read = (name: string) => {
      const file = files.find((one) => one.name === name);
      if (file === undefined) throw new Error(`the adapter has no file ${name}`);
      return this.#parts.storage.files.read(file.sha256);
    };
    const config = new TextDecoder().decode(await read('adapter_config.json'));
    await this.#engine.putAdapter(sha256, {
      config,
      tensors: await read('adapter_model.safetensors'),
    });
  }

  /** The base's files by what they are; null when it is not installed, or none that a device can run. */
  async #files(): Promise<Readonly<Record<Names, FileMessage>> | null> {
    const base = await this.#parts.base.read();
    if (base === null || !base.isInstalled) return null;
    const found = Object.entries(IS).map(
      ([part, isIt]) => [part, base.files.find(({ name }) => isIt(name))] as const,
    );
    if (found.some(([, file]) => file === undefined)) return null;
    return Object.fromEntries(found) as Record<Names, FileMessage>;
  }

  async #content({ sha256 }: FileMessage): Promise<EngineFile> {
    const { files } = this.#parts.storage;
    return files.path ? { path: files.path(sha256) } : { bytes: await files.read(sha256) };
  }
}
