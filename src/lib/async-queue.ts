/** Hands values from a writer to one reader in order, keeping those that the reader has not come to yet. */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  readonly #values: T[] = [];
  #outcome: { readonly error?: unknown } | null = null;
  #wake: () => void = () => undefined;

  /** Adds a value at the end. */
  push(value: T): void {
    this.#values.push(value);
    this.#wake();
  }

  /** Ends the reader's iteration behind the last value. */
  end(): void {
    this.#outcome ??= {};
    this.#wake();
  }

  /** Makes the reader's iteration throw behind the last value. */
  fail(error: unknown): void {
    this.#outcome ??= { error };
    this.#wake();
  }

  async next(): Promise<IteratorResult<T>> {
    while (this.#values.length === 0 && this.#outcome === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const [value] = this.#values.splice(0, 1);
    if (value !== undefined) return { done: false, value };
    if (this.#outcome !== null && 'error' in this.#outcome) throw this.#outcome.error;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
