/** A part of the server with a lifetime. */
export interface Closable {
  close(): Promise<void>;
}

/** What is open, to be closed in the opposite order. */
export class Closers implements Closable {
  readonly #open: Closable[] = [];

  /** Takes the part over and returns it. */
  add<T extends Closable>(part: T): T {
    this.#open.push(part);
    return part;
  }

  /** Closes every part, also when another one fails to close; then throws what failed first. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const part of this.#open.splice(0).reverse()) {
      await part.close().catch((error) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
}
