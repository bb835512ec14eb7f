// What became of this device's trainings, and what of them the server does not have yet: durable, and nothing that runs.

import type { Json } from '../../lib/canonical-json.ts';
import type { GateVerdict } from '../../training/core/gate.ts';
import type { DeviceStorage, Write } from '../storage/storage.ts';

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

/** What a training was given. */
export interface Lesson {
  readonly recipe: string;
  readonly datasetSha256: string;
  /** Hashes of the examples of its dataset. */
  readonly learnt: readonly string[];
  /** The same of the run from scratch at the beginning of the chain. */
  readonly rootLearnt: readonly string[];
  /** What shipped with the mode when that run began from it; null: nothing did. */
  readonly shippedSha256: string | null;
}

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
  /** The records that it learns from. */
  readonly records: readonly string[];
  /** What a training that goes on from it must know. */
  readonly lesson: Lesson;
  /** The adapter that it goes on from; null: it is from scratch. */
  readonly startedFromId: string | null;
  /** Hashes of the files that it needs of what ships with the mode. */
  readonly shippedFiles: readonly string[];
  readonly result: TrainedResult | null;
  /** How often it did not arrive as it was sent; absent: never. */
  readonly lostSendings?: number;
}

/** Bytes that arrive wrong so often are wrong on this device. */
const MOST_SENDINGS = 5;

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

  /** Writes it, and what is to be written besides. */
  async write(trained: Trained, besides: readonly Write[] = []): Promise<void> {
    await this.#storage.write([[KEY + trained.mode, trained as unknown as Json], ...besides]);
  }

  /** The write that forgets the mode's training if it learns from one of the records. */
  async forgetting(mode: string, records: readonly string[]): Promise<readonly Write[]> {
    const trained = await this.find(mode);
    const gone = new Set(records);
    return trained?.records.some((record) => gone.has(record)) ? [[KEY + mode, undefined]] : [];
  }

  /** Whether it is still the mode's last training. */
  async isCurrent({ mode, run, parentId }: Trained): Promise<boolean> {
    const now = await this.find(mode);
    return now?.run === run && now.parentId === parentId;
  }

  /** Notes what became of it, unless another training took its place meanwhile or it was forgotten, and writes what is to
   *  be written besides. */
  async settle(
    trained: Trained,
    end: Pick<Trained, 'status' | 'reason'>,
    besides: readonly Write[] = [],
  ): Promise<void> {
    const now = { ...trained, ...end } as unknown as Json;
    const own: Write[] = (await this.isCurrent(trained)) ? [[KEY + trained.mode, now]] : [];
    await this.#storage.write([...own, ...besides]);
  }

  /** Notes that it did not arrive as it was sent; returns whether it is to be sent again. */
  async noteSending(trained: Trained): Promise<boolean> {
    const lostSendings = (trained.lostSendings ?? 0) + 1;
    if (lostSendings >= MOST_SENDINGS) return false;
    if (await this.isCurrent(trained)) await this.write({ ...trained, lostSendings });
    return true;
  }

  /** Those that the server is to have. */
  async waiting(): Promise<readonly Trained[]> {
    const all = await this.#all();
    return all.filter(({ status }) => status === 'TRAINED');
  }

  /** Files that must not be removed. */
  async files(): Promise<readonly string[]> {
    return (await this.#all()).flatMap(({ status, run, result, shippedFiles = [] }) => {
      if (status === 'TRAINING')
        return [checkpointFile(run), ...shippedFiles].flatMap((name) => [name, `${name}.part`]);
      return status === 'TRAINED' && result !== null ? [result.sha256] : [];
    });
  }

  async #all(): Promise<readonly Trained[]> {
    const entries = await this.#storage.list(KEY);
    return entries.map(([, value]) => value as unknown as Trained);
  }
}
