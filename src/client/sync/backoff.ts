const FIRST_MS = 500;
const LONGEST_MS = 5 * 60_000;

/** How long to wait before the next attempt after this many failures in a row: doubling from half a second to five
 *  minutes, a random half of it so that devices do not come back together, and never less than the server asked for. */
export function backoffMs(failures: number, retryAfterMs: number, random: () => number): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 30));
  return Math.max(retryAfterMs, longest * (0.5 + random() / 2));
}
