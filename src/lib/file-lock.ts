// Locks between processes, held by the operating system: a process that dies, however it dies, holds nothing.

import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import locks from 'fs-native-extensions';
import type { Clock } from './clock.ts';

/** How often a waiting process asks again. Short against an install, long against a system call. */
const POLL_MS = 100;

/** A lock that is held until `release` or until the process ends. */
export interface FileLock {
  release(): Promise<void>;
}

/** Takes the exclusive lock of the file, which is created if missing and never removed; null when another holder has it.
 *  Two calls in one process exclude each other as well. */
export async function tryFileLock(path: string): Promise<FileLock | null> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'a+');
  try {
    // closing the file gives the lock back
    if (locks.tryLock(file.fd)) return { release: () => file.close() };
  } catch (error) {
    await file.close();
    throw new Error(`cannot lock ${path}`, { cause: error });
  }
  await file.close();
  return null;
}

/** Does the work and gives the lock back, however it ends. */
export async function holding<T>(lock: FileLock, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Takes the exclusive lock of the file, waiting for its holder; rejects with the signal's reason. */
export async function waitForFileLock(
  path: string,
  clock: Clock,
  signal?: AbortSignal,
): Promise<FileLock> {
  for (;;) {
    const lock = await tryFileLock(path);
    if (lock !== null) return lock;
    await clock.sleep(POLL_MS, signal);
  }
}
