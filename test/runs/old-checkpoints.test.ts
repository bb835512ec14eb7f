import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { checkpointDir, removeOldCheckpoints } from '../../src/runs/old-checkpoints.ts';
import { endRun } from '../../src/runs/run.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { loadShippedModes, NOW } from '../support/test-user.ts';
import { World } from '../support/world.ts';

const folder = useTemporaryFolder();

describeWithDatabase('checkpoints', (database: () => Database) => {
  it('stay while their run may go on, and go when it has ended, like those of unknown runs', async () => {
    const catalog = await loadShippedModes();
    const world = await World.open(database(), catalog);
    const workDir = folder();
    const going = await world.startRun(catalog.mode('subject'));
    const ended = await world.startRun(catalog.mode('reply'));
    const claim = { ...ended, forced: false };
    await endRun(world.db, claim, { status: 'FAILED', reason: 'why not', now: NOW });
    for (const id of [going.runId, ended.runId, 'unknown']) await mkdir(checkpointDir(workDir, id));
    await mkdir(join(workDir, 'run-1'));
    await removeOldCheckpoints(world.db, workDir);
    expect((await readdir(workDir)).sort()).toEqual([`checkpoint-${going.runId}`, 'run-1']);
  });
});
