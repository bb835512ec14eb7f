// Faults between the processes of a deployment, one after the other under a stream of changes. Afterwards every change that
// was accepted is there once, every mode has learnt all of it, and nothing was published twice or to the wrong user.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deferred } from '../support/deferred.ts';
import { FaultDeployment } from '../support/faults/fault-deployment.ts';
import { stormOver } from '../support/faults/fault-storm.ts';
import { announceSeed, randomFrom } from '../support/seed.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

const STORM = { users: 3, changesPerUser: 40, faults: 16 };
const NO_DAMAGE = { lost: 0, doubled: 0, crossUserReads: 0 };

const hasServers = shouldRunWith('postgres') && shouldRunWith('redis-server');

describe.skipIf(!hasServers)('a deployment', () => {
  let deployment: FaultDeployment;
  beforeEach(async () => {
    deployment = await FaultDeployment.start(2, {
      ...{ postgres: await newPostgresUrl(), redis: await redisUrl() },
    });
  });
  afterEach(() => deployment.close());

  const settled = (userId: string) => expect.poll(() => deployment.isSettled(userId)).toBe(true);

  it('loses and doubles nothing, whatever becomes of its connections and of Redis', async () => {
    const random = randomFrom(announceSeed('faults.test.ts'));
    const storm = await stormOver(deployment, STORM, random);
    for (const { id } of storm.users) {
      await settled(id);
      expect(await deployment.damageTo(id, STORM.changesPerUser)).toEqual(NO_DAMAGE);
    }
    const operations = storm.operations + deployment.trainings;
    process.stdout.write(`faults.test.ts: nothing lost or doubled in ${operations} operations\n`);
  });

  it('refuses what a trainer publishes after its run was given to another', async () => {
    const user = await deployment.newUser('stopped');
    const stopped = deferred();
    const goesOn = deferred();
    deployment.whileTraining = () => {
      if (deployment.trainings > 1) return Promise.resolve();
      stopped.resolve();
      return goesOn.promise;
    };
    for (let i = 0; i < 12; i += 1) await user.push(`mail-${i}`, `subject ${i}`);
    await stopped.promise;
    // a newer run waits, so the stopped one is replaced and not begun anew
    await user.push('mail-12', 'subject 12');
    await deployment.flushRedis();
    await settled(user.id);
    goesOn.resolve();
    await deployment.stopJobs();
    expect(deployment.trainings).toBeGreaterThan(1);
    expect(await deployment.unpublished(user.id)).toContain('CANCELLED');
    expect(await deployment.damageTo(user.id, 13)).toEqual(NO_DAMAGE);
  });
});
