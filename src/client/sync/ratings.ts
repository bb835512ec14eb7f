// What the user thought of answers, kept until the server has it. Answers of the device are known there once they are
// reported, so ratings go after reports.

import type { Json } from '../../lib/canonical-json.ts';
import type { RatingMessage } from '../../sync/protocol.ts';
import type { DeviceStorage } from '../storage/storage.ts';
import { isHopeless, type Reports } from './reports.ts';

const RATINGS = 'rating/';

/** An answer, by whichever name the device knows it. */
export interface RatedAnswer {
  readonly clientId: string;
  /** The server's; null: the device gave it. */
  readonly id: string | null;
}

/** What the user says of an answer: one of them at least. */
export interface Rating {
  readonly verdict?: 'UP' | 'DOWN';
  /** What they would rather have had. */
  readonly better?: string;
  /** Another answer to the same input that they would rather have. */
  readonly preferred?: RatedAnswer;
}

interface Kept {
  readonly answer: RatedAnswer;
  readonly rating: Rating;
}

/** The durable queue of ratings; of several for an answer only the last one is kept. */
export class Ratings {
  readonly #storage: DeviceStorage;
  readonly #reports: Reports;

  constructor(storage: DeviceStorage, reports: Reports) {
    this.#storage = storage;
    this.#reports = reports;
  }

  /** Keeps the rating in place of an earlier one; it is safe when it resolves. Throws Error for an answer that the server
   *  does not know and will not: one in a mode that only devices train, or one of long ago. */
  async add({ clientId, id }: RatedAnswer, { preferred, ...said }: Rating): Promise<void> {
    const other = preferred && { clientId: preferred.clientId, id: preferred.id };
    for (const answer of [{ clientId, id }, ...(other ? [other] : [])])
      if (answer.id === null && !(await this.#reports.knows(answer.clientId)))
        throw new Error(`the server knows no answer ${answer.clientId}: it cannot be rated`);
    const rating = other === undefined ? said : { ...said, preferred: other };
    const kept = { answer: { clientId, id }, rating };
    await this.#storage.write([[RATINGS + clientId, kept as unknown as Json]]);
  }

  /** How many wait. */
  async size(): Promise<number> {
    return (await this.#storage.list(RATINGS)).length;
  }

  /** Hands every rating to `send`, and lets go of those that were sent or will never be taken. */
  async sendAll(send: (rating: RatingMessage) => Promise<void>): Promise<void> {
    for (const [key, value] of await this.#storage.list(RATINGS)) {
      const message = await this.#messageOf(value as unknown as Kept);
      // the server took no report of it
      if (message !== null)
        await send(message).catch((error: unknown) => {
          if (!isHopeless(error)) throw error;
        });
      // the user may have changed their mind meanwhile
      const now = await this.#storage.get(key);
      if (JSON.stringify(now) === JSON.stringify(value))
        await this.#storage.write([[key, undefined]]);
    }
  }

  async #messageOf({ answer, rating }: Kept): Promise<RatingMessage | null> {
    const { preferred, ...said } = rating;
    const completionId = await this.#idOf(answer);
    if (completionId === null) return null;
    if (preferred === undefined) return { completionId, ...said };
    const preferredCompletionId = await this.#idOf(preferred);
    return preferredCompletionId === null ? null : { completionId, ...said, preferredCompletionId };
  }

  async #idOf({ clientId, id }: RatedAnswer): Promise<string | null> {
    return id ?? (await this.#reports.idOf(clientId));
  }
}
