import type { Json } from '../lib/canonical-json.ts';
import type { ModeDefinition } from '../modes/definition.ts';
import type { Api } from './api.ts';
import type { DeviceStorage } from './storage.ts';

const KEY = 'modes';

/** The modes as the server last described them, kept for times without a network. */
export class KnownModes {
  readonly #storage: DeviceStorage;

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** null: there is none of that key, or the server has never been asked. */
  async find(key: string): Promise<ModeDefinition | null> {
    const kept = (await this.#storage.get(KEY)) as Kept | undefined;
    return kept?.[key] ?? null;
  }

  /** Asks the server. Throws ApiError. */
  async refresh(api: Api, signal: AbortSignal): Promise<void> {
    type Answer = { viewer: { modes: { key: string; definition: ModeDefinition }[] } };
    const { viewer } = await api.ask<Answer>('Modes', {}, signal);
    const modes: Kept = Object.fromEntries(
      viewer.modes.map(({ key, definition }) => [key, definition]),
    );
    if (JSON.stringify(await this.#storage.get(KEY)) === JSON.stringify(modes)) return;
    await this.#storage.write([[KEY, modes as unknown as Json]]);
  }
}

type Kept = Readonly<Record<string, ModeDefinition>>;
