// The deployment of the fault tests under a longer stream of faults, its damage counted.

import { systemClock } from '../../src/lib/clock.ts';
import {
  type Damage,
  FaultDeployment,
  type ServerUrls,
} from '../../test/support/fault-deployment.ts';
import { stormOver } from '../../test/support/fault-storm.ts';
import { announceSeed, randomFrom } from '../../test/support/seed.ts';

const STORM = { users: 4, changesPerUser: 150, faults: 60 };
const POLL_MS = 250;

/** The damage, and the operations that it is counted over. */
export async function countDamage(
  urls: ServerUrls,
): Promise<Damage & { readonly operations: number }> {
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
