// Answers that the device gave by itself, kept until the server has them.

import type { Json } from '../lib/canonical-json.ts';
import type { ReportMessage } from '../sync/protocol.ts';
import { ApiError } from './api.ts';
import type { DeviceStorage } from './storage.ts';

const REPORTS = 'report/';

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

  /** Hands every report to `send`, and lets go of those that were sent or will never be taken. */
  async sendAll(send: (report: ReportMessage) => Promise<void>): Promise<void> {
    for (const [key, value] of await this.#storage.list(REPORTS)) {
      try {
        await send(value as unknown as ReportMessage);
      } catch (error) {
        if (!(error instanceof ApiError) || !isHopeless(error)) throw error;
      }
      await this.#storage.write([[key, undefined]]);
    }
  }
}

/** The mode, the adapter or the input is none of the server's any more. */
function isHopeless({ code }: ApiError): boolean {
  return code === 'NOT_FOUND' || code === 'BAD_INPUT' || code === 'CONFLICT';
}
