// Servers under a deployment that die and come back, clocks that are set to another time, and a queue that gives the same job
// to several trainers, out of order, under a stream of changes. What must hold afterwards is what faults.test.ts says.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { FaultDeployment } from '../support/faults/fault-deployment.ts';
import { stormOver } from '../support/faults/fault-storm.ts';
import { announceSeed, randomFrom } from '../support/seed.ts';
import { newDatabaseOn, startPostgres } from '../support/servers/postgres-server.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { startRedis } from '../support/servers/redis-server.ts';
import type { RestartableServer } from '../support/servers/server-process.ts';
import { soakRuns } from '../support/soak.ts';

const ROUNDS = soakRuns(3);
const STORM = { users: 3, changesPerUser: 12 * ROUNDS, faults: 0 };
const NO_DAMAGE = { lost: 0, doubled: 0, crossUserReads: 0 };
const HOUR_MS = 60 * 60 * 1000;
const TIMEOUT_MS = 300_000 + 30_000 * ROUNDS;

const hasServers = shouldRunWith('postgres') && shouldRunWith('redis-server');

describe.skipIf(!hasServers)('a deployment', () => {
  let postgres: RestartableServer;
  let redis: RestartableServer;
  let deployment: FaultDeployment;
  beforeAll(async () => {
    postgres = await startPostgres({ isDurable: true });
    redis = await startRedis({ isDurable: true });
  });
  afterAll(async () => {
    await postgres.stop();
    await redis.stop();
  });
  beforeEach(async () => {
    await deployment?.flushRedis();
    deployment = await FaultDeployment.start(2, {
      ...{ postgres: await newDatabaseOn(postgres.url), redis: redis.url },
    });
  });
  afterEach(() => deployment.close());

  /** Pushes of some users while things happen one after the other; then looks what came of it. */
  async function survive(name: string, happen: (random: () => number) => Promise<void>) {
    const random = randomFrom(announceSeed(name));
    let isOver = false;
    let count = 0;
    const storm = stormOver(deployment, STORM, random).finally(() => {
      isOver = true;
    });
    while (!isOver || count < ROUNDS) {
      await systemClock.sleep(random() * 400);
      await happen(random);
      count += 1;
    }
    const { users, operations } = await storm;
    for (const { id } of users) {
      await expect.poll(() => deployment.isSettled(id)).toBe(true);
      expect(await deployment.damageTo(id, STORM.changesPerUser)).toEqual(NO_DAMAGE);
    }
    const total = operations + count + deployment.trainings;
    process.stdout.write(
      `${name}: nothing lost or doubled in ${total} operations, ${count} faults\n`,
    );
  }

  it(
    'loses and doubles nothing when Redis is killed and comes back with its log',
    () => survive('redis restarts', () => redis.restart('SIGKILL')),
    TIMEOUT_MS,
  );

  it(
    'loses and doubles nothing when PostgreSQL dies and recovers',
    () => survive('postgres restarts', () => postgres.restart('SIGQUIT')),
    TIMEOUT_MS,
  );

  it(
    'loses and doubles nothing when clocks jump by an hour and Redis forgets everything',
    () =>
      survive('clock jumps', async (random) => {
        deployment.jump(random() < 0.5 ? HOUR_MS : -HOUR_MS);
        if (random() < 0.3) await deployment.flushRedis();
      }),
    TIMEOUT_MS,
  );

  it(
    'loses and doubles nothing when jobs are delivered again and out of order',
    () =>
      survive('repeated deliveries', async (random) => {
        const users = await deployment.userIds();
        const deliveries = users.flatMap((id) => [id, id]).sort(() => random() - 0.5);
        await Promise.all(deliveries.map((id, i) => deployment.deliver(id, i % 2)));
      }),
    TIMEOUT_MS,
  );
});
