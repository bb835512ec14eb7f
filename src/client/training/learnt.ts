// What this device's published adapters were made from: which of them to take back when a record is deleted, and whether the
// next training may go on from the newest one. Durable, and nothing that runs.

import type { Json } from '../../lib/canonical-json.ts';
import { Turns } from '../../lib/turns.ts';
import type { DeviceStorage, Write } from '../storage/storage.ts';
import type { Lesson, Trained } from './trained.ts';

const LEARNT = 'learnt/';
const WITHDRAWN = 'withdraw/';

/** The newest training that was published. */
export interface NewestRun extends Lesson {
  readonly adapterId: string;
}

/** The runs of a mode that were published, by number. */
interface Ledger {
  readonly next: number;
  readonly runs: readonly (readonly [n: number, adapterId: string])[];
  /** By record: the first run that may have learnt from it. What a run goes on from it holds too, so every later one may. */
  readonly first: Readonly<Record<string, number>>;
  readonly newest: NewestRun | null;
}

const EMPTY: Ledger = { next: 1, runs: [], first: {}, newest: null };

/** Keeps a ledger for each mode, and the adapters that the server has yet to revoke. */
export class Learnt {
  readonly #storage: DeviceStorage;
  readonly #turns = new Turns();

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** Runs the task while no other such task does: what it read is still so when it writes. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#turns.take(task);
  }

  /** The newest published training; null: there was none, or it was taken back. */
  async newest(mode: string): Promise<NewestRun | null> {
    return (await this.#ledger(mode)).newest;
  }

  /** The writes that note a training as published under this id. */
  async writesOf({ mode, records, lesson }: Trained, adapterId: string): Promise<readonly Write[]> {
    const { next, runs, first } = await this.#ledger(mode);
    // told again, of an answer that was lost
    if (runs.some(([, id]) => id === adapterId)) return [];
    const seen = Object.fromEntries(records.map((record) => [record, first[record] ?? next]));
    const ledger: Ledger = {
      next: next + 1,
      runs: [...runs, [next, adapterId]],
      first: { ...first, ...seen },
      newest: { adapterId, ...lesson },
    };
    return [[LEARNT + mode, ledger as unknown as Json]];
  }

  /** The writes that forget records of the mode, and the adapters that may have learnt from them. */
  async forgetting(
    mode: string,
    records: readonly string[],
  ): Promise<{ readonly writes: readonly Write[]; readonly adapterIds: readonly string[] }> {
    const ledger = await this.#ledger(mode);
    const since = Math.min(
      ...records.map((record) => ledger.first[record] ?? Number.POSITIVE_INFINITY),
    );
    if (since === Number.POSITIVE_INFINITY) return { writes: [], adapterIds: [] };
    const adapterIds = ledger.runs.flatMap(([n, id]) => (n >= since ? [id] : []));
    const gone = new Set(records);
    const left: Ledger = {
      ...ledger,
      runs: ledger.runs.filter(([n]) => n < since),
      first: Object.fromEntries(
        Object.entries(ledger.first).filter(([record]) => !gone.has(record)),
      ),
      newest: null,
    };
    return { writes: [[LEARNT + mode, left as unknown as Json]], adapterIds };
  }

  /** The write that has the server revoke an adapter. */
  withdrawing(adapterId: string): Write {
    return [WITHDRAWN + adapterId, true];
  }

  /** The adapters that the server is to revoke. */
  async withdrawn(): Promise<readonly string[]> {
    const entries = await this.#storage.list(WITHDRAWN);
    return entries.map(([key]) => key.slice(WITHDRAWN.length));
  }

  /** The server has revoked the adapter, or never will. */
  async settle(adapterId: string): Promise<void> {
    await this.#storage.write([[WITHDRAWN + adapterId, undefined]]);
  }

  async #ledger(mode: string): Promise<Ledger> {
    return ((await this.#storage.get(LEARNT + mode)) as unknown as Ledger | undefined) ?? EMPTY;
  }
}
