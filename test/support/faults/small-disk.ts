// A folder on a disk that fills up or can only be read: a small file system in memory where this process may mount one,
// elsewhere a limit on the length of the files that it writes.

import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireProgram } from '../servers/programs.ts';

const SIZE = '4m';
const PIECE = Buffer.alloc(65_536);

/** A disk of the tests' own. */
export interface SmallDisk {
  readonly folder: string;
  /** How the system refuses here: ENOSPC and EROFS, or EFBIG. */
  readonly refusal: RegExp;
  /** Takes nothing more. */
  fill(): Promise<void>;
  /** Takes nothing at all. */
  makeReadOnly(): void;
  /** Takes everything again. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a disk. */
export async function openSmallDisk(): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-disk-'));
  return canMount(folder) ? mountedDisk(folder) : limitedDisk(folder);
}

function canMount(folder: string): boolean {
  try {
    run('mount', '-t', 'tmpfs', '-o', `size=${SIZE}`, 'attune-test', folder);
    return true;
  } catch {
    return false; // not for this user, or not in this container
  }
}

function mountedDisk(folder: string): SmallDisk {
  const filler = join(folder, 'filler');
  return {
    folder,
    refusal: /ENOSPC|EROFS/,
    fill: async () => {
      for (;;)
        try {
          await appendFile(filler, PIECE);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          return;
        }
    },
    makeReadOnly: () => run('mount', '-o', 'remount,ro', folder),
    mend: async () => {
      run('mount', '-o', 'remount,rw', folder);
      await rm(filler, { force: true });
    },
    close: async () => {
      run('umount', '-l', folder);
      await rm(folder, { recursive: true });
    },
  };
}

/** The limit holds for all files of this process, so nothing else may be written meanwhile. */
function limitedDisk(folder: string): SmallDisk {
  const limit = (bytes: string) =>
    run('prlimit', `--pid=${process.pid}`, `--fsize=${bytes}:unlimited`);
  return {
    folder,
    refusal: /EFBIG/,
    // the shortest file of an adapter fits, its tensors do not
    fill: () => Promise.resolve(limit('50')),
    makeReadOnly: () => limit('0'),
    mend: () => Promise.resolve(limit('unlimited')),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(requireProgram(program), args, { stdio: 'pipe', timeout: 60_000 });
}
