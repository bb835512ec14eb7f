import { stat } from 'node:fs/promises';
import { nullIfMissing } from '../lib/null-if-missing.ts';

/** Files whose last check is remembered, about 200 bytes each. */
const MAX_REMEMBERED = 10_000;

/** Files that were found to have a hash, by their time and size. */
export class CheckedFiles {
  readonly #whole = new Map<string, string>();

  /** Whether the file has the hash, which `isIntact` is asked once for every time and size of it; null: there is no such file. */
  async ask(path: string, hash: string, isIntact: () => Promise<boolean>): Promise<boolean | null> {
    const state = await stateOf(path, hash);
    if (state === null) return null;
    if (this.#whole.get(path) === state) return true;
    if (!(await isIntact())) return false;
    this.#remember(path, state);
    return true;
  }

  /** The file, as it is now, has been found to have the hash. */
  async note(path: string, hash: string): Promise<void> {
    const state = await stateOf(path, hash);
    if (state !== null) this.#remember(path, state);
  }

  #remember(path: string, state: string): void {
    const [oldest] = this.#whole.keys();
    if (this.#whole.size >= MAX_REMEMBERED && oldest !== undefined) this.#whole.delete(oldest);
    this.#whole.set(path, state);
  }
}

async function stateOf(path: string, hash: string): Promise<string | null> {
  const file = await stat(path).catch(nullIfMissing);
  return file && `${hash} ${file.size} ${file.mtimeMs}`;
}
