// Where trainers write before the store takes their files: a folder per attempt, gone when the attempt is over.

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const PREFIX = 'run-';

/** A new folder for one attempt; the caller removes it. */
export async function newScratch(workDir: string): Promise<string> {
  await mkdir(workDir, { recursive: true });
  return mkdtemp(join(workDir, PREFIX));
}

/** Removes what the attempts of a killed server left, for a start at which no trainer can be alive. */
export async function removeScratch(workDir: string): Promise<void> {
  await mkdir(workDir, { recursive: true });
  const names = (await readdir(workDir)).filter((name) => name.startsWith(PREFIX));
  for (const name of names) await rm(join(workDir, name), { recursive: true, force: true });
}
