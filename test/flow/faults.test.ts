// Faults between the processes of a deployment, one after the other under a stream of changes. Afterwards every change that
// was accepted is there once, every mode has learnt all of it, and nothing was published twice or to the wrong user.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { upToDateThrough } from '../../src/dataset/up-to-date.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { deferred } from '../support/deferred.ts';
import { FaultDeployment } from '../support/fault-deployment.ts';
import { shouldRunWith } from '../support/programs.ts';
import { announceSeed, randomFrom } from '../support/seed.ts';

const USERS = 3;
const CHANGES_PER_USER = 40;
const LONGEST_PAUSE_MS = 200;
const FAULTS = 16;

const hasServers = shouldRunWith('postgres') && shouldRunWith('redis-server');

describe.skipIf(!hasServers)('a deployment', () => {
  let deployment: FaultDeployment;
  beforeEach(async () => {
    deployment = await FaultDeployment.start(2);
  });
  afterEach(() => deployment.close());

  /** Resolves when everything that the user has pushed is learnt. */
  const settled = (userId: string, changeSeq: number) =>
    expect
      .poll(() => upToDateThrough(deployment.db, userId, deployment.catalog.mode('subject')), {
        timeout: 60_000,
      })
      .toBe(changeSeq);

  it('loses and doubles nothing, whatever becomes of its connections and of Redis', async () => {
    const random = randomFrom(announceSeed('faults.test.ts'));
    const names = Array.from({ length: USERS }, (_, i) => `user-${i}`);
    const users = await Promise.all(names.map((name) => deployment.newUser(name)));
    const pushing = users.map(async ({ push }) => {
      for (let i = 0; i < CHANGES_PER_USER; i += 1) {
        await push(`mail-${i}`, `subject ${i}`);
        await systemClock.sleep(random() * LONGEST_PAUSE_MS);
      }
    });
    for (let i = 0; i < FAULTS; i += 1) await befall(deployment, random);
    await Promise.all(pushing);
    for (const { id } of users) {
      await settled(id, CHANGES_PER_USER);
      await checkFeed(deployment, id);
    }
    const operations = USERS * CHANGES_PER_USER + deployment.trainings + FAULTS;
    process.stdout.write(`faults.test.ts: nothing lost or doubled in ${operations} operations\n`);
  }, 180_000);

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
    await deployment.flushRedis();
    await settled(user.id, 12);
    goesOn.resolve();
    await deployment.stopJobs();
    expect(deployment.trainings).toBeGreaterThan(1);
    expect(await deployment.unpublished(user.id)).toContain('CANCELLED');
    await checkFeed(deployment, user.id);
  }, 120_000);
});

/** One fault, its end, and a moment of peace. */
async function befall(deployment: FaultDeployment, random: () => number): Promise<void> {
  const { redis, postgres } = deployment;
  const network = random() < 0.5 ? redis : postgres;
  const faults: readonly (() => void | Promise<void>)[] = [
    () => {
      network.set({ kind: 'refuse' });
      network.cut();
    },
    () => network.cut(),
    () => network.set({ kind: 'reset' }),
    () => network.set({ kind: 'cut', afterBytes: Math.floor(random() * 20_000) }),
    () => network.set({ kind: 'latency', ms: 30 }),
    () => network.set({ kind: 'drip', bytes: 50 }),
    () => deployment.flushRedis(),
    () => deployment.cutSessions(),
  ];
  await faults[Math.floor(random() * faults.length)]?.();
  await systemClock.sleep(random() * 300);
  network.set({ kind: 'none' });
  await systemClock.sleep(random() * 200);
}

/** Each published run made one adapter and one event; the user's events are numbered without gaps and name own adapters. */
async function checkFeed({ db }: FaultDeployment, userId: string): Promise<void> {
  const events = await db
    .selectFrom('feedEvents')
    .innerJoin('adapters', 'adapters.id', 'feedEvents.adapterId')
    .select(['feedEvents.seq', 'adapters.version', 'adapters.userId', 'adapters.runId'])
    .where('feedEvents.userId', '=', userId)
    .orderBy('feedEvents.seq')
    .execute();
  const numbers = events.map((_, i) => i + 1);
  expect(events.map(({ seq }) => seq)).toEqual(numbers);
  expect(events.map(({ version }) => version)).toEqual(numbers);
  expect(new Set(events.map(({ runId }) => runId)).size).toBe(events.length);
  expect(new Set(events.map((event) => event.userId))).toEqual(new Set([userId]));
}
