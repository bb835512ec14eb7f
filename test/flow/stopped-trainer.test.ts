// A trainer's process is stopped in the middle of a run and goes on later: meanwhile another one has done the run, and what the
// first one then has to publish is refused.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forkScript } from '../../src/lib/fork-script.ts';
import { FaultDeployment } from '../support/faults/fault-deployment.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import type { TrainerPlace } from '../support/training/trainer-node.ts';

/** Half a minute otherwise. */
const LEASE_MS = 3_000;
const TRAINER = new URL('../support/training/trainer-node.ts', import.meta.url);
const hasServers = shouldRunWith('postgres') && shouldRunWith('redis-server');

describe.skipIf(!hasServers)('a trainer that is stopped', () => {
  let deployment: FaultDeployment;
  let trainer: ChildProcess;
  beforeEach(async () => {
    const urls = { postgres: await newPostgresUrl(), redis: await redisUrl() };
    deployment = await FaultDeployment.start(1, urls, { leaseMs: LEASE_MS });
    const place = { urls, folder: deployment.folder, mode: 'subject', leaseMs: LEASE_MS };
    trainer = forkScript(TRAINER).child;
    trainer.send(place satisfies TrainerPlace);
    await said();
  });
  afterEach(async () => {
    trainer.kill('SIGKILL');
    await deployment.close();
  });

  const said = async () => (await once(trainer, 'message'))[0] as unknown;

  it('loses its run to another, which publishes it, and publishes nothing when it goes on', async () => {
    const user = await deployment.newUser('ann');
    const begun = said();
    let hasBegun = false;
    void begun.then(() => {
      hasBegun = true;
    });
    let pushed = 0;
    const push = async () => {
      await user.push(`mail-${pushed}`, `subject ${pushed}`);
      pushed += 1;
    };
    // two trainers take runs, and sooner or later it is the other one's turn
    while (!hasBegun) {
      await push();
      if (pushed > 8) await expect.poll(async () => hasBegun || (await isSettled())).toBe(true);
    }
    expect(await begun).toBe('training');
    trainer.kill('SIGSTOP');
    const before = deployment.trainings;
    await expect.poll(isSettled).toBe(true);
    expect(deployment.trainings).toBeGreaterThan(before);
    trainer.kill('SIGCONT');
    trainer.send('close');
    expect(await said()).toBe(0);
    expect(await deployment.damageTo(user.id, pushed)).toEqual({
      ...{ lost: 0, doubled: 0, crossUserReads: 0 },
    });

    function isSettled(): Promise<boolean> {
      return deployment.isSettled(user.id);
    }
  });
});
