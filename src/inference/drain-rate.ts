/** How strongly the last answer counts against all those before it. */
const WEIGHT = 0.2;
const FIRST_GUESS_MS = 500;
/** A caller that is sent away should neither hammer nor give up. */
const MIN_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;

/** Measures how fast answers are finished, to tell callers when a full queue will have room. */
export class DrainRate {
  #msPerAnswer = FIRST_GUESS_MS;
  #lastMs: number | null = null;

  /** Notes that an answer was finished now. */
  finished(nowMs: number): void {
    if (this.#lastMs !== null)
      this.#msPerAnswer += WEIGHT * (nowMs - this.#lastMs - this.#msPerAnswer);
    this.#lastMs = nowMs;
  }

  /** Notes that nothing is left to do: the pause that follows says nothing about speed. */
  idle(): void {
    this.#lastMs = null;
  }

  /** When half of a queue of this length will be gone. */
  retryAfterMs(waiting: number): number {
    const halfMs = Math.round((waiting / 2) * this.#msPerAnswer);
    return Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, halfMs));
  }
}
