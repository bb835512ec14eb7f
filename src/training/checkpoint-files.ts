// Where a run's loops keep their state between epochs, so that a trainer that was killed goes on from there.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { writeFileAtomically } from '../lib/atomic-file.ts';
import { sha256 } from '../lib/sha256.ts';
import {
  bytesFor,
  dirOf,
  type Folder,
  nullIfUnread,
  readFileIn,
} from '../sealing/private-folder.ts';
import type { Checkpoints, LoopState } from './core/train-loop.ts';

const HASH_BYTES = 64;

/** Checkpoints in `folder` of the loop that has this name: whatever its bytes follow from must be in it.
 *  A file that is damaged counts as none. */
export function checkpointFiles(folder: Folder, name: string): Checkpoints {
  const fileName = sha256(name);
  return {
    read: async () => {
      const bytes = await readFileIn(folder, fileName).catch(nullIfUnread);
      return bytes === null ? null : parse(bytes);
    },
    write: async (state) => {
      const body = serialize(state);
      await mkdir(dirOf(folder), { recursive: true });
      const text = Buffer.concat([Buffer.from(sha256(body)), body]);
      await writeFileAtomically(join(dirOf(folder), fileName), bytesFor(folder, fileName, text));
    },
  };
}

function parse(bytes: Buffer): LoopState | null {
  const body = bytes.subarray(HASH_BYTES);
  const isWhole = bytes.subarray(0, HASH_BYTES).toString() === sha256(body);
  return isWhole ? (deserialize(body) as LoopState) : null;
}
