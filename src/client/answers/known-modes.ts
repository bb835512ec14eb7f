import type { Json } from '../../lib/canonical-json.ts';
import type { ModeDefinition } from '../../modes/definition.ts';
import type { FileMessage } from '../../sync/protocol.ts';
import type { Api } from '../api.ts';
import type { DeviceStorage } from '../storage/storage.ts';

const KEY = 'modes';

/** A mode as the server describes it. */
export interface KnownMode {
  readonly definition: ModeDefinition;
  /** The graphs to train it with; none where devices do not. */
  readonly trainingFiles: readonly FileMessage[];
}

/** The modes as the server last described them, kept for times without a network. */
export class KnownModes {
  readonly #storage: DeviceStorage;

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** null: there is none of that key, or the server has never been asked. */
  async find(key: string): Promise<KnownMode | null> {
    return (await this.#read())?.[key] ?? null;
  }

  /** By key; none before the server has been asked. */
  async all(): Promise<readonly (readonly [key: string, mode: KnownMode])[]> {
    return Object.entries((await this.#read()) ?? {});
  }

  /** null: the server has never been asked. */
  async definitions(): Promise<readonly ModeDefinition[] | null> {
    const kept = await this.#read();
    return kept && Object.values(kept).map(({ definition }) => definition);
  }

  /** The graphs of all modes that devices train. */
  async trainingFiles(): Promise<readonly FileMessage[]> {
    return Object.values((await this.#read()) ?? {}).flatMap(({ trainingFiles }) => trainingFiles);
  }

  /** Asks the server; returns its name of the user whose modes they are. Throws ApiError. */
  async refresh(api: Api, signal: AbortSignal): Promise<string> {
    type Answer = { viewer: { id: string; modes: ({ key: string } & KnownMode)[] } };
    const { viewer } = await api.ask<Answer>('Modes', {}, signal);
    const modes: Kept = Object.fromEntries(
      viewer.modes.map(({ key, definition, trainingFiles }) => [
        key,
        { definition, trainingFiles },
      ]),
    );
    if (JSON.stringify(await this.#read()) !== JSON.stringify(modes))
      await this.#storage.write([[KEY, modes as unknown as Json]]);
    return viewer.id;
  }

  async #read(): Promise<Kept | null> {
    return ((await this.#storage.get(KEY)) as Kept | undefined) ?? null;
  }
}

type Kept = Readonly<Record<string, KnownMode>>;
