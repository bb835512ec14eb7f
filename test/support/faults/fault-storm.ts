// Users who push while one fault after the other befalls their deployment.

import { systemClock } from '../../../src/lib/clock.ts';
import type { FaultDeployment } from './fault-deployment.ts';

const LONGEST_PAUSE_MS = 200;

/** How long and how hard. */
export interface Storm {
  readonly users: number;
  readonly changesPerUser: number;
  readonly faults: number;
}

/** Ends when every change was accepted and every fault is over; what is due to be trained may still be under way. */
export async function stormOver(deployment: FaultDeployment, storm: Storm, random: () => number) {
  const names = Array.from({ length: storm.users }, (_, i) => `user-${i}`);
  const users = await Promise.all(names.map((name) => deployment.newUser(name)));
  const pushing = users.map(async ({ push }) => {
    for (let i = 0; i < storm.changesPerUser; i += 1) {
      await push(`mail-${i}`, `subject ${i}`);
      await systemClock.sleep(random() * LONGEST_PAUSE_MS);
    }
  });
  for (let i = 0; i < storm.faults; i += 1) await deployment.befall(random);
  await Promise.all(pushing);
  const operations = storm.users * storm.changesPerUser + storm.faults;
  return { users, operations };
}
