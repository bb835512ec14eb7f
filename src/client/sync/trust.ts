// Asks for an adapter's manifest and holds it against what the device knows.

import type { Json } from '../../lib/canonical-json.ts';
import type { AdapterMessage } from '../../sync/protocol.ts';
import type { AdapterStatement, Envelope, PublicKey } from '../../sync/protocol-manifest.ts';
import type { Api } from '../api.ts';
import type { DeviceStorage } from '../storage/storage.ts';
import { openEnvelope, refusalOf, type VerifySignature } from './check-manifest.ts';

const KEYS = 'keys';

/** Which signatures a device believes. */
export interface TrustOptions {
  readonly verify: VerifySignature;
  /** The only keys that count; undefined: those that the server shows, asked for again when an unknown one signed. */
  readonly keys?: readonly PublicKey[] | undefined;
}

/** What the device knows besides the adapter itself. */
interface Known {
  readonly newestVersion: number;
  readonly base: string | null;
  readonly user: string | null;
}

/** Believes the server's manifests. */
export class Trust {
  readonly #storage: DeviceStorage;
  readonly #api: Api;
  readonly #options: TrustOptions;

  constructor(storage: DeviceStorage, api: Api, options: TrustOptions) {
    this.#storage = storage;
    this.#api = api;
    this.#options = options;
  }

  /** Why the adapter must not be installed; null when it may. Throws ApiError. */
  async refusal(
    adapter: AdapterMessage,
    known: Known,
    signal: AbortSignal,
  ): Promise<string | null> {
    const envelope = await this.#api.find<Envelope>(`/manifests/${adapter.id}`, signal);
    if (envelope === null) return 'the adapter has no manifest';
    const statement = await this.#open(envelope, signal);
    if (statement === null) return 'no key that is trusted has signed the manifest';
    const now = this.#api.access.clock.now();
    return refusalOf(statement, { ...known, adapter, now });
  }

  async #open(envelope: Envelope, signal: AbortSignal): Promise<AdapterStatement | null> {
    const { verify, keys } = this.#options;
    if (keys !== undefined) return openEnvelope(envelope, keys, verify);
    const kept = ((await this.#storage.get(KEYS)) ?? []) as unknown as readonly PublicKey[];
    const statement = await openEnvelope(envelope, kept, verify);
    if (statement !== null) return statement;
    // the server may sign with another key by now
    type Shown = { readonly keys: readonly PublicKey[] };
    const shown = await this.#api.find<Shown>('/.well-known/attune-keys.json', signal);
    if (shown === null) return null;
    await this.#storage.write([[KEYS, shown.keys as unknown as Json]]);
    return openEnvelope(envelope, shown.keys, verify);
  }
}
