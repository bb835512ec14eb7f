// The folders of checkpoints: one per run, there until the run has ended, whoever ended it.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Db } from '../db/database.ts';

const PREFIX = 'checkpoint-';

/** Where a run keeps its checkpoints, from one attempt to the next. */
export function checkpointDir(workDir: string, runId: string): string {
  return join(workDir, `${PREFIX}${runId}`);
}

/** Removes the checkpoints of all runs that will not go on: they are as private as an adapter. */
export async function removeOldCheckpoints(db: Db, workDir: string): Promise<void> {
  await mkdir(workDir, { recursive: true });
  const names = (await readdir(workDir)).filter((name) => name.startsWith(PREFIX));
  if (names.length === 0) return;
  const runs = await db
    .selectFrom('runs')
    .select('id')
    .where('status', 'in', ['QUEUED', 'RUNNING'])
    .execute();
  const kept = new Set(runs.map(({ id }) => `${PREFIX}${id}`));
  for (const name of names.filter((folder) => !kept.has(folder)))
    await rm(join(workDir, name), { recursive: true, force: true });
}
