// What became of this device's trainings, and what of them the server does not have yet: durable, and nothing that runs.

import type { Json } from '../lib/canonical-json.ts';
import type { GateVerdict } from '../training/core/gate.ts';
import type { DeviceStorage } from './storage.ts';

const KEY = 'training/';

/** How the last training of a mode ended, or that it has not: TRAINING goes on from a checkpoint, TRAINED waits for the
 *  server, CONFLICT means that another adapter came first (train again), REFUSED that the server will not have it. */
export type TrainedStatus =
  | 'TRAINING'
  | 'TRAINED'
  | 'PUBLISHED'
  | 'REJECTED'
  | 'CONFLICT'
  | 'REFUSED';

/** The last training of a mode. */
export interface Trained {
  readonly mode: string;
  readonly status: TrainedStatus;
  /** Why it is REJECTED, CONFLICT or REFUSED. */
  readonly reason: string | null;
  /** Names what its bytes follow from. */
  readonly run: string;
  /** The adapter that was live: what the gate compared with. */
  readonly parentId: string | null;
  readonly baseSha256: string;
  readonly datasetSha256: string;
  readonly dataThrough: number | null;
  readonly result: TrainedResult | null;
}

/** What a training made. */
export interface TrainedResult {
  /** The wire form, which is in the files under this hash until the server has it. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly verdict: GateVerdict;
  readonly losses: readonly number[];
  readonly examples: number;
}

/** The file of a run's checkpoint. */
export function checkpointFile(run: string): string {
  return `${run}.checkpoint`;
}

/** The durable list of trainings, one for each mode. */
export class TrainedShelf {
  readonly #storage: DeviceStorage;

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  async find(mode: string): Promise<Trained | null> {
    return ((await this.#storage.get(KEY + mode)) as unknown as Trained | undefined) ?? null;
  }

  async write(trained: Trained): Promise<void> {
    await this.#storage.write([[KEY + trained.mode, trained as unknown as Json]]);
  }

  /** Notes what became of it, unless another training took its place meanwhile. */
  async settle(trained: Trained, status: TrainedStatus, reason: string | null): Promise<void> {
    const now = await this.find(trained.mode);
    if (now?.run === trained.run && now.parentId === trained.parentId)
      await this.write({ ...trained, status, reason });
  }

  /** Those that the server is to have. */
  async waiting(): Promise<readonly Trained[]> {
    const all = await this.#all();
    return all.filter(({ status }) => status === 'TRAINED');
  }

  /** Files that must not be removed. */
  async files(): Promise<readonly string[]> {
    return (await this.#all()).flatMap(({ status, run, result }) => {
      if (status === 'TRAINING') return [checkpointFile(run), `${checkpointFile(run)}.part`];
      return status === 'TRAINED' && result !== null ? [result.sha256] : [];
    });
  }

  async #all(): Promise<readonly Trained[]> {
    const entries = await this.#storage.list(KEY);
    return entries.map(([, value]) => value as unknown as Trained);
  }
}
