// A device's state as lines of text: each line is one write, with its checksum in front, and is there whole or not at all.
// Knows nothing of files.

import type { Json } from '../../lib/canonical-json.ts';
import { fnv1a64 } from '../../lib/fnv.ts';
import { Turns } from '../../lib/turns.ts';
import type { DeviceStorage, Write } from './storage.ts';

/** Characters of a line's checksum. */
const CHECKSUM_LENGTH = 16;

/** Where a journal's lines are. */
export interface Journal {
  /** Adds the line at the end; it is on the disk when it resolves. */
  append(line: string): Promise<void>;
  /** Puts a line of these writes in place of all lines in one step, or leaves them as they were. */
  replace(writes: readonly Write[]): Promise<void>;
  close(): Promise<void>;
}

/** The storage, without files, of a journal whose lines say this state. They are taken for unclean: a crash may have left
 *  half a line. */
export function journalStorage(
  journal: Journal,
  state: Map<string, Json>,
): Omit<DeviceStorage, 'files'> {
  const turns = new Turns();
  let isClean = false;
  return {
    get: (key) => Promise.resolve(state.get(key)),
    list: (prefix) => Promise.resolve(entriesWith(state, prefix)),
    write: (writes) =>
      turns.take(async () => {
        const staysClean = isClean && writes.every(([key]) => !state.has(key));
        // so it is if the line is torn
        isClean = false;
        await journal.append(journalLine(writes));
        applyWrites(state, writes);
        isClean = staysClean;
      }),
    compact: () =>
      turns.take(async () => {
        if (!isClean) await journal.replace([...state]);
        isClean = true;
      }),
    close: () => turns.take(() => journal.close()),
  };
}

/** One line, which begins with a line break so that a torn line before it does not swallow it. A removal is a key alone. */
export function journalLine(writes: readonly Write[]): string {
  const content = JSON.stringify(
    writes.map(([key, value]) => (value === undefined ? [key] : [key, value])),
  );
  return `\n${fnv1a64(content)}${content}`;
}

/** The state after all whole lines. A torn one is a write that nobody was told had succeeded. */
export function readJournal(text: string): Map<string, Json> {
  const state = new Map<string, Json>();
  for (const line of text.split('\n')) {
    const content = line.slice(CHECKSUM_LENGTH);
    if (content === '' || fnv1a64(content) !== line.slice(0, CHECKSUM_LENGTH)) continue;
    applyWrites(state, JSON.parse(content) as Write[]);
  }
  return state;
}

/** Changes the state as the writes say. */
function applyWrites(state: Map<string, Json>, writes: readonly Write[]): void {
  for (const [key, value] of writes) {
    if (value === undefined) state.delete(key);
    else state.set(key, value);
  }
}

/** The entries whose keys begin so, sorted by key. */
function entriesWith(
  state: ReadonlyMap<string, Json>,
  prefix: string,
): (readonly [string, Json])[] {
  const entries = [...state].filter(([key]) => key.startsWith(prefix));
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}
