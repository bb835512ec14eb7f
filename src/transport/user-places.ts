import { AppError } from '../lib/errors.ts';

/** When a place may have become free. */
export const RETRY_SOCKET_MS = 1_000;

/** Counts the sockets of each user. */
export class UserPlaces {
  readonly #limit: number;
  readonly #taken = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts one more until the signal aborts. Throws RATE_LIMITED when there are too many. */
  take(userId: string, closed: AbortSignal): void {
    const count = this.#taken.get(userId) ?? 0;
    if (count >= this.#limit) {
      const text = `This user has ${count} open sockets; at most ${this.#limit} are served. Close one.`;
      throw new AppError('RATE_LIMITED', text, { retryAfterMs: RETRY_SOCKET_MS });
    }
    // a client that left while it was being admitted has no place to give back
    if (closed.aborted) return;
    this.#taken.set(userId, count + 1);
    closed.addEventListener('abort', () => this.#free(userId), { once: true });
  }

  #free(userId: string): void {
    const left = (this.#taken.get(userId) ?? 0) - 1;
    if (left > 0) this.#taken.set(userId, left);
    else this.#taken.delete(userId);
  }
}
