// Ends a text where a stop string appears, however the text is cut into pieces.

/** What may be shown after one more piece of text. */
export interface StopResult {
  /** Text that no stop string can take back any more. */
  readonly text: string;
  /** The end of the text, which may turn out to begin a stop string; pass it in again with the next piece. */
  readonly held: string;
  readonly stopped: boolean;
}

/** Splits `held` and the next piece into what may be shown and what must still be held back. The stop string that is
 *  complete first wins, the longest one among equals; it and all behind it are dropped. Stop strings are not empty. */
export function cutAtStop(held: string, piece: string, stops: readonly string[]): StopResult {
  const text = held + piece;
  const start = firstStop(text, stops);
  if (start !== null) return { text: text.slice(0, start), held: '', stopped: true };
  const safe = text.length - heldLength(text, stops);
  return { text: text.slice(0, safe), held: text.slice(safe), stopped: false };
}

/** Where the stop string that is complete first begins. Deciding by the end, not by the beginning, gives the same
 *  answer for one long piece as for its characters one by one. */
function firstStop(text: string, stops: readonly string[]): number | null {
  let end = Number.POSITIVE_INFINITY;
  let start: number | null = null;
  for (const stop of stops) {
    const found = text.indexOf(stop);
    if (found < 0) continue;
    const foundEnd = found + stop.length;
    if (foundEnd < end || (foundEnd === end && found < (start ?? 0))) {
      end = foundEnd;
      start = found;
    }
  }
  return start;
}

/** Length of the longest end of the text that begins a stop string. */
function heldLength(text: string, stops: readonly string[]): number {
  const longest = Math.max(0, ...stops.map((stop) => stop.length - 1));
  for (let length = Math.min(longest, text.length); length > 0; length -= 1) {
    const tail = text.slice(-length);
    if (stops.some((stop) => stop.startsWith(tail))) return length;
  }
  return 0;
}
