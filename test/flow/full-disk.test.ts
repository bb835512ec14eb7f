// Several trainers on one folder of adapters whose disk is full, then can only be read, under a stream of changes: changes are
// accepted, what is live is served, and everything is learnt once the disk takes something again.

import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UNFINISHED } from '../../src/adapters/store.ts';
import { must } from '../../src/lib/errors.ts';
import { FaultDeployment } from '../support/faults/fault-deployment.ts';
import { openSmallDisk, type SmallDisk } from '../support/faults/small-disk.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

const FIRST = 12;
const hasServers = shouldRunWith('postgres') && shouldRunWith('redis-server');

describe.skipIf(!hasServers)('adapters on a disk', () => {
  let disk: SmallDisk;
  let deployment: FaultDeployment;
  beforeEach(async () => {
    disk = await openSmallDisk();
    const place = join(disk.folder, 'deployment');
    await mkdir(place);
    const urls = { postgres: await newPostgresUrl(), redis: await redisUrl() };
    deployment = await FaultDeployment.start(2, urls, { folder: place });
  });
  afterEach(async () => {
    await disk.mend();
    await deployment.close();
    await disk.close();
  });

  it.each([
    ['that is full', () => disk.fill()],
    ['that can only be read', () => Promise.resolve(disk.makeReadOnly())],
  ])('%s: nothing is lost, and what is live stays served', async (_, harm) => {
    const user = await deployment.newUser('ann');
    for (let i = 0; i < FIRST; i += 1) await user.push(`mail-${i}`, `subject ${i}`);
    const settled = () => expect.poll(() => deployment.isSettled(user.id)).toBe(true);
    await settled();
    const live = await deployment.liveOf(user.id);
    const { store } = must(deployment.nodes[0], 'a node').run;
    await harm();
    const before = deployment.failures.length;
    await user.push('more', 'learnt once there is room');
    // both trainers may have tried by then, and none has given up
    await expect.poll(() => deployment.failures.length - before).toBeGreaterThan(3);
    for (const failure of deployment.failures.slice(before))
      expect(String(failure)).toMatch(disk.refusal);
    expect(await deployment.isSettled(user.id)).toBe(false);
    expect(await deployment.liveOf(user.id)).toEqual(live);
    expect(await store.isIntact(live)).toBe(true);
    await disk.mend();
    await settled();
    expect(await deployment.liveOf(user.id)).not.toEqual(live);
    expect(await deployment.damageTo(user.id, FIRST + 1)).toEqual({
      ...{ lost: 0, doubled: 0, crossUserReads: 0 },
    });
    const left = await readdir(join(disk.folder, 'deployment', 'adapters'));
    expect(left.filter((name) => name.startsWith(UNFINISHED))).toEqual([]);
  });
});
