/** A bell that remembers that it rang until somebody has come. */
export class Bell {
  #isRinging = false;
  #wake: () => void = () => undefined;

  ring(): void {
    this.#isRinging = true;
    this.#wake();
  }

  /** Forgets that it rang. */
  hush(): void {
    this.#isRinging = false;
  }

  /** Resolves when the bell rings, at once if it has rung since the last time; rejects with the signal's reason.
   *  One at a time may wait. */
  async rung(signal: AbortSignal): Promise<void> {
    while (!this.#isRinging) {
      signal.throwIfAborted();
      const wake = () => this.#wake();
      signal.addEventListener('abort', wake, { once: true });
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      signal.removeEventListener('abort', wake);
    }
    this.#isRinging = false;
  }
}
