// Where a run's loops keep their state between epochs, so that a trainer that was killed goes on from there.

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Checkpoints, LoopState } from './core/train-loop.ts';

const HASH_BYTES = 64;

/** Checkpoints in `folder` of the loop that has this name: whatever its bytes follow from must be in it.
 *  A file that is damaged counts as none. */
export function checkpointFiles(folder: string, name: string): Checkpoints {
  const path = join(folder, sha256(name));
  return {
    read: async () => {
      const bytes = await readFile(path).catch(nullIfMissing);
      return bytes === null ? null : parse(bytes);
    },
    write: async (state) => {
      const body = serialize(state);
      await mkdir(folder, { recursive: true });
      await writeFileAtomically(path, Buffer.concat([Buffer.from(sha256(body)), body]));
    },
  };
}

function parse(bytes: Buffer): LoopState | null {
  const body = bytes.subarray(HASH_BYTES);
  const isWhole = bytes.subarray(0, HASH_BYTES).toString() === sha256(body);
  return isWhole ? (deserialize(body) as LoopState) : null;
}
