// The deployment of the fault tests under a longer stream of faults, its damage counted.

import { systemClock } from '../../src/lib/clock.ts';
import {
  type Damage,
  FaultDeployment,
  type ServerUrls,
} from '../../test/support/fault-deployment.ts';
import { announceSeed, randomFrom } from '../../test/support/seed.ts';

const USERS = 4;
const CHANGES_PER_USER = 150;
const LONGEST_PAUSE_MS = 200;
const FAULTS = 60;
const POLL_MS = 250;

/** The damage, and the operations that it is counted over. */
export async function countDamage(
  urls: ServerUrls,
): Promise<Damage & { readonly operations: number }> {
  const random = randomFrom(announceSeed('bench/scale'));
  const deployment = await FaultDeployment.start(2, urls);
  try {
    const names = Array.from({ length: USERS }, (_, i) => `user-${i}`);
    const users = await Promise.all(names.map((name) => deployment.newUser(name)));
    const pushing = users.map(async ({ push }) => {
      for (let i = 0; i < CHANGES_PER_USER; i += 1) {
        await push(`mail-${i}`, `subject ${i}`);
        await systemClock.sleep(random() * LONGEST_PAUSE_MS);
      }
    });
    for (let i = 0; i < FAULTS; i += 1) await deployment.befall(random);
    await Promise.all(pushing);
    const damage: Damage[] = [];
    for (const { id } of users) {
      while (!(await deployment.isSettled(id))) await systemClock.sleep(POLL_MS);
      damage.push(await deployment.damageTo(id, CHANGES_PER_USER));
    }
    const sum = (of: (each: Damage) => number) =>
      damage.reduce((total, each) => total + of(each), 0);
    return {
      lost: sum(({ lost }) => lost),
      doubled: sum(({ doubled }) => doubled),
      crossUserReads: sum(({ crossUserReads }) => crossUserReads),
      operations: USERS * CHANGES_PER_USER + deployment.trainings + FAULTS,
    };
  } finally {
    await deployment.close();
  }
}
