import { stat } from 'node:fs/promises';
import { nullIfMissing } from '../lib/null-if-missing.ts';

/** Files whose last check is remembered, about 200 bytes each. */
const MAX_REMEMBERED = 10_000;

/** Files that were found to be what they are to be, by their time and size. `what` says what that is: a hash, and whatever else
 *  the finding rests on. */
export class CheckedFiles {
  readonly #whole = new Map<string, string>();

  /** Whether it is, which `isIntact` is asked once for every time and size of it; null: there is no such file. */
  async ask(path: string, what: string, isIntact: () => Promise<boolean>): Promise<boolean | null> {
    const state = await stateOf(path, what);
    if (state === null) return null;
    if (this.#whole.get(path) === state) return true;
    if (!(await isIntact())) return false;
    this.#remember(path, state);
    return true;
  }

  /** The file, as it is now, has been found to be so. */
  async note(path: string, what: string): Promise<void> {
    const state = await stateOf(path, what);
    if (state !== null) this.#remember(path, state);
  }

  #remember(path: string, state: string): void {
    const [oldest] = this.#whole.keys();
    if (this.#whole.size >= MAX_REMEMBERED && oldest !== undefined) this.#whole.delete(oldest);
    this.#whole.set(path, state);
  }
}

async function stateOf(path: string, what: string): Promise<string | null> {
  const file = await stat(path).catch(nullIfMissing);
  return file && `${what} ${file.size} ${file.mtimeMs}`;
}
