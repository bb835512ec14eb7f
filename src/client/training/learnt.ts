// What this device's trainings learnt from: which adapters to take back when a record is deleted, and whether the next
// training may go on from the newest one. Durable, and nothing that runs.

import type { Json } from '../../lib/canonical-json.ts';
import { Turns } from '../../lib/turns.ts';
import type { DeviceStorage, Write } from '../storage/storage.ts';
import type { Lesson, Trained } from './trained.ts';

const LEARNT = 'learnt/';
const FORGOTTEN = 'forgotten/';

/** The newest training that was published. */
export interface NewestRun extends Lesson {
  readonly adapterId: string;
}

/** Bytes that nobody may use: they learnt from a record that was deleted. */
export interface Forgotten {
  /** Of the wire form. */
  readonly sha256: string;
  readonly mode: string;
  /** When it was forgotten, by the device's clock, in ms. */
  readonly at: number;
}

/** The trainings of a mode that ended well, by number: whether they were published is for the server to know. */
interface Ledger {
  readonly next: number;
  readonly runs: readonly (readonly [n: number, sha256: string])[];
  /** By record: the first run that learnt from it. What goes on from a run holds it too, so every later one may. */
  readonly first: Readonly<Record<string, number>>;
  readonly newest: NewestRun | null;
}

const EMPTY: Ledger = { next: 1, runs: [], first: {}, newest: null };

/** Keeps a ledger for each mode, and what was forgotten. */
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

  /** The writes that note what a training learnt from, to be made before anybody hears of its bytes. */
  async noting({ mode, records }: Trained, sha256: string): Promise<readonly Write[]> {
    const ledger = await this.#ledger(mode);
    const { next, runs, first } = ledger;
    const seen = Object.fromEntries(records.map((record) => [record, first[record] ?? next]));
    const now: Ledger = {
      ...ledger,
      next: next + 1,
      runs: [...runs, [next, sha256]],
      first: { ...first, ...seen },
    };
    return [[LEARNT + mode, now as unknown as Json]];
  }

  /** The writes that note a training as the newest one that was published. */
  async publishing({ mode, lesson }: Trained, adapterId: string): Promise<readonly Write[]> {
    const ledger = { ...(await this.#ledger(mode)), newest: { adapterId, ...lesson } };
    return [[LEARNT + mode, ledger as unknown as Json]];
  }

  /** The writes that forget records of the mode, and the bytes that may have learnt from them. */
  async forgetting(
    mode: string,
    records: readonly string[],
  ): Promise<{ readonly writes: readonly Write[]; readonly hashes: readonly string[] }> {
    const ledger = await this.#ledger(mode);
    const firsts = records.map((record) => ledger.first[record] ?? Number.POSITIVE_INFINITY);
    const since = Math.min(...firsts);
    if (since === Number.POSITIVE_INFINITY) return { writes: [], hashes: [] };
    const gone = new Set(records);
    const left: Ledger = {
      ...ledger,
      runs: ledger.runs.filter(([n]) => n < since),
      first: Object.fromEntries(
        Object.entries(ledger.first).filter(([record]) => !gone.has(record)),
      ),
      newest: null,
    };
    const hashes = ledger.runs.flatMap(([n, sha256]) => (n >= since ? [sha256] : []));
    return { writes: [[LEARNT + mode, left as unknown as Json]], hashes };
  }

  /** The write that has the server revoke whatever has these bytes. */
  withdrawing({ sha256, mode, at }: Forgotten): Write {
    return [FORGOTTEN + sha256, { mode, at }];
  }

  /** What is to be withdrawn wherever it turns up. */
  async forgotten(): Promise<readonly Forgotten[]> {
    const entries = await this.#storage.list(FORGOTTEN);
    return entries.map(([key, value]) => {
      return { sha256: key.slice(FORGOTTEN.length), ...(value as { mode: string; at: number }) };
    });
  }

  /** It cannot turn up any more. */
  async settle({ sha256 }: Forgotten): Promise<void> {
    await this.#storage.write([[FORGOTTEN + sha256, undefined]]);
  }

  async #ledger(mode: string): Promise<Ledger> {
    return ((await this.#storage.get(LEARNT + mode)) as unknown as Ledger | undefined) ?? EMPTY;
  }
}
