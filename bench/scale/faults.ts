// The deployment of the fault tests under a longer stream of faults, its damage counted.

import { systemClock } from '../../src/lib/clock.ts';
import type { Damage, ServerUrls } from '../../test/support/faults/damage.ts';
import { FaultDeployment } from '../../test/support/faults/fault-deployment.ts';
import { stormOver } from '../../test/support/faults/fault-storm.ts';
import { announceSeed, randomFrom } from '../../test/support/seed.ts';
import type { Figure } from '../decode/figure.ts';
import type { Servers } from './servers.ts';

const STORM = { users: 4, changesPerUser: 150, faults: 60 };
const POLL_MS = 250;

/** What was lost, doubled or shown to others, and over how many operations. */
export async function faultFigures(_folder: string, servers: Servers): Promise<Figure[]> {
  const urls = { postgres: await servers.newDatabase(), redis: servers.redisUrl };
  const { lost, doubled, crossUserReads, operations } = await countDamage(urls);
  return [
    { key: 'lost', value: lost, reach: '0', from: 'changes and events' },
    { key: 'doubled', value: doubled, reach: '0', from: 'publishes' },
    { key: 'cross_user_reads', value: crossUserReads, reach: '0', from: '' },
    { key: 'fault_operations', value: operations, reach: '', from: 'what these are counted over' },
  ];
}

/** The damage, and the operations that it is counted over. */
async function countDamage(urls: ServerUrls): Promise<Damage & { readonly operations: number }> {
  const random = randomFrom(announceSeed('bench/scale'));
  const deployment = await FaultDeployment.start(2, urls);
  try {
    const { users, operations } = await stormOver(deployment, STORM, random);
    const damage: Damage[] = [];
    for (const { id } of users) {
      while (!(await deployment.isSettled(id))) await systemClock.sleep(POLL_MS);
      damage.push(await deployment.damageTo(id, STORM.changesPerUser));
    }
    const sum = (of: (each: Damage) => number) =>
      damage.reduce((total, each) => total + of(each), 0);
    return {
      lost: sum(({ lost }) => lost),
      doubled: sum(({ doubled }) => doubled),
      crossUserReads: sum(({ crossUserReads }) => crossUserReads),
      operations: operations + deployment.trainings,
    };
  } finally {
    await deployment.close();
  }
}
