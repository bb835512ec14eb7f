/** Lets one sleeper wait for work: a ring that comes before the wait is not lost. */
export class Doorbell {
  #isRung = false;
  #open: () => void = () => undefined;

  ring(): void {
    this.#isRung = true;
    this.#open();
  }

  /** Resolves once it has rung since the last wait. */
  async wait(): Promise<void> {
    if (!this.#isRung)
      await new Promise<void>((resolve) => {
        this.#open = resolve;
      });
    this.#isRung = false;
  }
}
