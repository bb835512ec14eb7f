// When a run goes on from the live adapter, when it begins anew, and when it gives way to a run that knows more.

import { expect, test } from 'vitest';
import { registerShipped } from '../../src/adapters/shipped.ts';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { splitOf } from '../../src/dataset/core/split.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import type { RunDeps } from '../../src/runs/run-training.ts';
import type { TrainingJob } from '../../src/training/training-job.ts';
import { FAKE_BASE } from '../support/api/api-server.ts';
import { sampleMail } from '../support/mailbox.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { loadShippedModes, NOW } from '../support/test-user.ts';
import { pretendToTrain, progressAt } from '../support/training/pretend-trainer.ts';
import { newTrainee } from './fixture.ts';

const MODE = 'subject';
const catalog = await loadShippedModes();
const folder = useTemporaryFolder();
const isTaught = (recordId: string) => splitOf('mail.sent', recordId) === 'train';
const newMails = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => sampleMail(`new-${from + i}`, `new ${from + i}`));

describeWithDatabase('a run after the first', (database) => {
  /** A user with an adapter of 60 mails, and the jobs that its trainer was given. */
  async function setUp(lossOf: (job: TrainingJob) => number = () => 1) {
    const jobs: TrainingJob[] = [];
    const train: RunDeps['train'] = (job) => {
      jobs.push(job);
      return pretendToTrain(job, lossOf(job));
    };
    const overrides = { train };
    const trainee = await newTrainee(database(), { catalog, mode: MODE, folder, overrides });
    await trainee.run();
    return { ...trainee, jobs };
  }

  test('goes on from the live adapter and says what that one knew', async () => {
    const { world, run, live, jobs } = await setUp();
    const first = await live();
    await world.user.push(...newMails(0, 5));
    await run();
    const [scratch, warm] = jobs;
    expect(scratch?.warmStart).toBeUndefined();
    expect(warm?.warmStart).toMatchObject({
      sha256: first?.sha256,
      datasetSha256: scratch?.datasetSha256,
    });
    const learnt = scratch?.examples.map((example) => example.sha256);
    expect(warm?.warmStart?.learnt.toSorted()).toEqual(learnt);
    expect(warm?.examples).toHaveLength(65);
    expect(await live()).toMatchObject({ version: 2, startedFromId: first?.id });
    expect((await live())?.lineage).toMatchObject({ parentSha256: first?.sha256 });
  });

  test('begins anew once enough has come and gone since the last time', async () => {
    const { world, run, jobs } = await setUp();
    // 10 a time: 10/70, 20/80, and 30/90 is more than 0.3
    for (const from of [0, 10, 20, 30]) {
      await world.user.push(...newMails(from, 10));
      await run();
    }
    const isWarm = jobs.map(({ warmStart }) => warmStart !== undefined);
    expect(isWarm).toEqual([false, true, true, false, true]);
  });

  test.each([
    ['retrain', { forced: true, isOther: false }],
    ['another recipe', { forced: false, isOther: true }],
  ])('begins anew on %s', async (_, { forced, isOther }) => {
    const { world, deps, live, run, jobs } = await setUp();
    await world.user.push(...newMails(0, 2));
    if (forced) await queueRuns(world.db, world.user.id, [MODE], { now: NOW, forced });
    if (isOther) {
      const { lineage, id = '' } = (await live()) ?? {};
      const other = JSON.stringify({ ...lineage, recipe: { rank: 3 } });
      await deps.db.updateTable('adapters').set({ lineage: other }).where('id', '=', id).execute();
    }
    await run();
    expect(jobs[1]?.warmStart).toBeUndefined();
    expect(await live()).toMatchObject({ version: 2, startedFromId: null });
  });

  test('begins anew, in the same run, when what went on from the live adapter does not pass', async () => {
    const { world, run, live, runs, jobs } = await setUp((job) =>
      job.warmStart === undefined ? 1 : 4,
    );
    await world.user.push(...newMails(0, 2));
    await run();
    expect(jobs.map(({ warmStart }) => warmStart !== undefined)).toEqual([false, true, false]);
    expect((await runs()).map(({ status }) => status)).toEqual(['PUBLISHED', 'PUBLISHED']);
    expect(await live()).toMatchObject({ version: 2, startedFromId: null });
  });

  test('begins anew from what is left when a record that any earlier run learnt from is deleted', async () => {
    const { world, run, live, jobs, mails } = await setUp();
    await world.user.push(...newMails(0, 2));
    await run();
    const gone = mails.find(({ recordId }) => isTaught(recordId))?.recordId ?? '';
    await world.user.push({ source: 'mail.sent', recordId: gone });
    expect(await live()).toBeNull();
    await run();
    expect(jobs.at(-1)).toMatchObject({ liveAdapterDir: null });
    expect(jobs.at(-1)?.warmStart).toBeUndefined();
    expect(await live()).toMatchObject({ version: 3, startedFromId: null, parentId: null });
  });

  test('begins from what the mode ships, and anew where it ships another', async () => {
    const jobs: TrainingJob[] = [];
    const train: RunDeps['train'] = (job) => {
      jobs.push(job);
      return pretendToTrain(job);
    };
    const overrides = { train };
    const { world, run, live } = await newTrainee(database(), {
      ...{ catalog, mode: MODE, folder, overrides },
    });
    const ship = (name: string) =>
      registerShipped(
        world.db,
        [{ mode: MODE, baseSha256: FAKE_BASE.sha256, sha256: sha256(name), rank: 8, files: [] }],
        NOW,
      );
    await ship('one');
    await run();
    await world.user.push(...newMails(0, 2));
    await run();
    await ship('two');
    await world.user.push(...newMails(2, 2));
    await run();
    await ship('nothing').then(() => registerShipped(world.db, [], NOW));
    const [first, warm, anew] = jobs;
    expect(first?.shipped?.sha256).toBe(sha256('one'));
    expect(first?.liveAdapterDir).toEqual(first?.shipped?.adapterDir);
    expect(warm?.warmStart).toBeDefined();
    expect(anew?.warmStart).toBeUndefined();
    expect(anew?.shipped?.sha256).toBe(sha256('two'));
    expect((await live())?.startedFromId).not.toBeNull();
  });
});

describeWithDatabase('a run during which data arrives', (database) => {
  /** A trainer during whose run, once it has come so far, a mail arrives; whether it was stopped for that. */
  async function setUp(share: number) {
    let count = 0;
    const stopped: boolean[] = [];
    const train: RunDeps['train'] = async (job, { onProgress, signal }) => {
      count += 1;
      await trainee.world.user.push(...newMails(count, 1));
      onProgress(progressAt(Math.round(share * 100), 100));
      onProgress(progressAt(100, 100));
      // the end is reported after the data was seen or was not
      const aborted = new Promise<boolean>((resolve) => {
        signal.addEventListener('abort', () => resolve(true), { once: true });
        setImmediate(() => void settled().then(() => resolve(signal.aborted)));
      });
      stopped.push(await aborted);
      signal.throwIfAborted();
      return pretendToTrain(job);
    };
    // a look at the database takes a few turns: as many as this many other looks take
    const settled = async () => {
      for (let i = 0; i < 20; i += 1) await trainee.lastRun();
    };
    const overrides = { train };
    const trainee = await newTrainee(database(), { catalog, mode: MODE, folder, overrides });
    return { ...trainee, stopped };
  }

  test('gives way to the next one while it is young, three times in a row at most', async () => {
    const { run, runs, stopped, live } = await setUp(0.2);
    for (let i = 0; i < 4; i += 1) await run();
    expect(stopped).toEqual([true, true, true, false]);
    const ends = (await runs()).map(({ status, reason }) => [status, reason]);
    expect(ends).toEqual([
      ['CANCELLED', 'NEWER_DATA'],
      ['CANCELLED', 'NEWER_DATA'],
      ['CANCELLED', 'NEWER_DATA'],
      ['PUBLISHED', null],
      ['QUEUED', null],
    ]);
    // what came in the last one's time was not part of it
    expect((await live())?.dataThrough).toBe(63);
    await run();
    expect(stopped.at(-1)).toBe(true);
  });

  test('goes on to its end when it is older', async () => {
    const { run, lastRun, stopped, live } = await setUp(0.3);
    await run();
    expect(stopped).toEqual([false]);
    expect(await live()).toMatchObject({ version: 1 });
    expect(await lastRun()).toMatchObject({ status: 'QUEUED' });
  });

  test('leaves the next one the rebuild that was asked of it', async () => {
    const { world, run, lastRun } = await setUp(0.2);
    await queueRuns(world.db, world.user.id, [MODE], { now: NOW, forced: true });
    await run();
    expect(await lastRun()).toMatchObject({ status: 'QUEUED', forced: true });
  });
});
