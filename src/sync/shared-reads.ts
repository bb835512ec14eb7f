import { setImmediate } from 'node:timers/promises';

/** Answers by one read what many ask for at the same moment: the phones of a user, all woken by the same event. A read
 *  begins only after all who share it have asked, so it sees all that a read of their own would have seen. */
export class SharedReads<Value> {
  readonly #waiting = new Map<string, Promise<Value>>();

  /** What `read` finds. `key` says all that the answer depends on, besides the time. */
  ask(key: string, read: () => Promise<Value>): Promise<Value> {
    const waiting = this.#waiting.get(key) ?? this.#begin(key, read);
    this.#waiting.set(key, waiting);
    return waiting;
  }

  async #begin(key: string, read: () => Promise<Value>): Promise<Value> {
    await setImmediate();
    this.#waiting.delete(key);
    return await read();
  }
}
