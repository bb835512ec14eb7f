import { closeSync, openSync, readSync } from 'node:fs';

/** Linux reads at most 2 GiB - 4 KiB in one call. */
const MAX_READ_BYTES = 1 << 30;

/** The bytes of the file from `offset` on, fewer where the file ends; aligned memory of their own. */
export function readFileRange(path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = openSync(path, 'r');
  try {
    let done = 0;
    while (done < length) {
      const wanted = Math.min(length - done, MAX_READ_BYTES);
      const count = readSync(file, bytes, done, wanted, offset + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } finally {
    closeSync(file);
  }
}
