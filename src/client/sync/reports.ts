// Answers that the device gave by itself, kept until the server has them.

import type { Json } from '../../lib/canonical-json.ts';
import type { ReportMessage } from '../../sync/protocol.ts';
import { ApiError } from '../api.ts';
import type { DeviceStorage } from '../storage/storage.ts';

const REPORTS = 'report/';
const REPORTED = 'reported';

/** So many answers can still be rated after they were reported. */
const MOST_REPORTED = 500;

/** A reported answer, and the server's name of it. */
type Reported = readonly [clientId: string, id: string];

/** The durable queue of reports; their clientIds are their names, so a repeated report is the same one. */
export class Reports {
  readonly #storage: DeviceStorage;

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** Keeps the report; it is safe when it resolves. */
  async add(report: ReportMessage): Promise<void> {
    await this.#storage.write([[REPORTS + report.clientId, report as unknown as Json]]);
  }

  /** How many wait. */
  async size(): Promise<number> {
    return (await this.#storage.list(REPORTS)).length;
  }

  /** Whether the answer was given here, and the server has it or will. */
  async knows(clientId: string): Promise<boolean> {
    const isWaiting = (await this.#storage.get(REPORTS + clientId)) !== undefined;
    return isWaiting || (await this.idOf(clientId)) !== null;
  }

  /** The server's name of an answer; null: it has not been reported, or long ago. */
  async idOf(clientId: string): Promise<string | null> {
    return (await this.#reported()).find(([one]) => one === clientId)?.[1] ?? null;
  }

  /** Hands every report to `send`, which gives the server's name of it, and lets go of those that were sent or will never
   *  be taken. */
  async sendAll(send: (report: ReportMessage) => Promise<string>): Promise<void> {
    for (const [key, value] of await this.#storage.list(REPORTS)) {
      const { clientId } = value as unknown as ReportMessage;
      const id = await send(value as unknown as ReportMessage).catch((error: unknown) => {
        if (!isHopeless(error)) throw error;
        return null;
      });
      const reported = [...(await this.#reported()), ...(id === null ? [] : [[clientId, id]])];
      await this.#storage.write([
        [key, undefined],
        [REPORTED, reported.slice(-MOST_REPORTED) as Json],
      ]);
    }
  }

  async #reported(): Promise<readonly Reported[]> {
    return ((await this.#storage.get(REPORTED)) ?? []) as unknown as readonly Reported[];
  }
}

/** The mode, the adapter or the input is none of the server's any more: it will say so whenever it is asked. */
export function isHopeless(error: unknown): boolean {
  return error instanceof ApiError && ['NOT_FOUND', 'BAD_INPUT', 'CONFLICT'].includes(error.code);
}
