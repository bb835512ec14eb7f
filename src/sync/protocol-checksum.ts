// What a device ought to hold after the end of a feed, as one short word. Shared by who computes it from the registry and
// who computes it from a disk.

import { fnv1a64 } from '../lib/fnv.ts';

/** The checksum of the user's own adapters, as [mode, adapter id] in any order: FNV-1a (64 bits, 16 hex digits) over the
 *  UTF-8 lines `<mode> <adapter id>\n`, sorted by code unit. */
export function feedChecksum(
  adapters: readonly (readonly [mode: string, adapterId: string])[],
): string {
  const lines = adapters.map(([mode, adapterId]) => `${mode} ${adapterId}\n`);
  return fnv1a64(lines.sort().join(''));
}
