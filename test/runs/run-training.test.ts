// A run from claim to verdict, with a trainer that pretends: what each way it can go leaves behind.

import { readdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openAdapterStore } from '../../src/adapters/store.ts';
import { queueRuns } from '../../src/changes/queue-run.ts';
import { splitOf, splitOfInput } from '../../src/dataset/core/split.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { inputKey } from '../../src/modes/prompt.ts';
import { type RunDeps, runTraining } from '../../src/runs/run-training.ts';
import { UntrainableError } from '../../src/training/core/untrainable-error.ts';
import { sampleMail } from '../support/mailbox.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { loadShippedModes, NOW, type TestChange } from '../support/test-user.ts';
import { pretendToTrain, progressAt } from '../support/training/pretend-trainer.ts';
import { newTrainee } from './fixture.ts';

const MODE = 'subject';
const catalog = await loadShippedModes();
const folder = useTemporaryFolder();

describeWithDatabase('a run', (database) => {
  const setUp = (overrides: Partial<RunDeps> = {}) =>
    newTrainee(database(), { catalog, mode: MODE, folder, overrides });

  test('publishes what passes the gate, tells of it and leaves no scratch behind', async () => {
    const { run, live, lastRun, published } = await setUp();
    await run();
    expect(await lastRun()).toMatchObject({ status: 'PUBLISHED', reason: null });
    expect(await live()).toMatchObject({ version: 1, id: published[0] });
    expect(await readdir(folder('work'))).toEqual([]);
  });

  test('rejects what does not, with the reason, and keeps the live adapter', async () => {
    let loss = 1;
    const { world, run, live, lastRun } = await setUp({
      train: (job) => pretendToTrain(job, loss),
    });
    await run();
    await world.user.push(sampleMail('mail-new', 'subject new'));
    loss = 4;
    await run();
    const { status, reason, adapterId } = await lastRun();
    expect(status).toBe('REJECTED');
    expect(reason).toContain("not below the base model's");
    expect(await live()).toMatchObject({ version: 1 });
    expect((await world.statuses()).get(adapterId ?? '')).toBe('REJECTED');
  });

  test('skips data it has learnt already, unless it is asked for a rebuild', async () => {
    const { world, run, lastRun } = await setUp();
    await run();
    await queueRuns(world.db, world.user.id, [MODE], { now: NOW });
    await run();
    expect(await lastRun()).toMatchObject({ status: 'SKIPPED', reason: 'UNCHANGED' });
    await queueRuns(world.db, world.user.id, [MODE], { now: NOW, forced: true });
    await run();
    expect(await lastRun()).toMatchObject({ status: 'PUBLISHED' });
  });

  test('is skipped where too little is held out, whatever the names of rated inputs say', async () => {
    const judging: Mode = { ...catalog.mode(MODE), objective: 'DPO' };
    const modes = { ...catalog, modes: [judging], mode: () => judging };
    // mails to learn from, most of them of inputs whose own part would be the holdout
    const bodyOf = ({ data }: TestChange) => (data as { readonly body: string }).body;
    const taught = Array.from({ length: 400 }, (_, i) =>
      sampleMail(`mail-${i}`, `subject ${i}`),
    ).filter(({ source, recordId }) => splitOf(source, recordId) === 'train');
    const of = (part: string) =>
      taught.filter((mail) => splitOfInput(inputKey({ body: bodyOf(mail) })) === part);
    const mails = [...of('holdout').slice(0, 10), ...of('train').slice(0, 2)];
    const trainee = await newTrainee(database(), { catalog: modes, mode: MODE, folder, mails });
    for (const mail of mails) {
      const { id } = await trainee.world.answer(MODE, { body: bodyOf(mail) }, 'dull');
      await trainee.world.rate(id, 'bright');
    }
    await trainee.run();
    expect(await trainee.lastRun()).toMatchObject({ status: 'SKIPPED', reason: 'TOO_LITTLE_DATA' });
  });

  test('does nothing when nothing is due', async () => {
    let trainings = 0;
    const { run } = await setUp({
      train: (job) => {
        trainings += 1;
        return pretendToTrain(job);
      },
    });
    await run();
    await run();
    expect(trainings).toBe(1);
  });

  test('fails at once with the reason when the data cannot be learnt, and keeps the live adapter', async () => {
    const reason = 'the loss is not a number';
    let canLearn = true;
    const { world, run, live, lastRun } = await setUp({
      train: (job) =>
        canLearn ? pretendToTrain(job) : Promise.reject(new UntrainableError(reason)),
    });
    await run();
    const before = await live();
    canLearn = false;
    await world.user.push(sampleMail('one-more', 'one more'));
    await run();
    expect(await lastRun()).toMatchObject({ status: 'FAILED', reason });
    expect(await live()).toEqual(before);
    expect(before).toMatchObject({ version: 1, status: 'LIVE' });
  });

  test('is tried again when the trainer dies, and fails after the last try', async () => {
    const died = new Error('the trainer died');
    const { run, lastRun } = await setUp({ train: () => Promise.reject(died) });
    await expect(run()).rejects.toBe(died);
    expect(await lastRun()).toMatchObject({ status: 'RUNNING', attempt: 1 });
    await expect(run(true)).rejects.toBe(died);
    expect(await lastRun()).toMatchObject({ status: 'FAILED', attempt: 2, reason: died.message });
  });

  test('publishes nothing on a full disk, and is not over: it is tried again once there is room', async () => {
    let isFull = true;
    const write: typeof writeFile = (path, bytes) =>
      isFull
        ? Promise.reject(new Error('ENOSPC: no space left on device'))
        : writeFile(path, bytes);
    const store = await openAdapterStore(folder('full'), vaultOf(database().kysely), write);
    const { run, live, lastRun } = await setUp({ store });
    await expect(run(true)).rejects.toThrow('ENOSPC');
    expect(await lastRun()).toMatchObject({ status: 'RUNNING' });
    expect(await live()).toBeNull();
    expect(await readdir(folder('work'))).toEqual([]);
    isFull = false;
    await run();
    expect(await live()).toMatchObject({ version: 1 });
  });

  test('is given up without effect when a record that it learns from is deleted', async () => {
    const learnt = (recordId: string) => splitOf('mail.sent', recordId) === 'train';
    const { world, mails, deps, run, live } = await setUp();
    const mail = mails.find(({ recordId }) => learnt(recordId)) ?? { recordId: 'none' };
    const train: RunDeps['train'] = async (job) => {
      await world.user.push({ source: 'mail.sent', recordId: mail.recordId });
      return pretendToTrain(job);
    };
    await runTraining({ ...deps, train }, { userId: world.user.id, mode: MODE }, { isLast: false });
    expect(await live()).toBeNull();
    await run();
    expect(await live()).toMatchObject({ version: 1 });
  });

  test('waits again when the server stops', async () => {
    const stop = new AbortController();
    const { run, lastRun } = await setUp({
      shutdown: stop.signal,
      train: (_, { signal }) => {
        stop.abort(new Error('the server stops'));
        return Promise.reject(signal.reason);
      },
    });
    await run();
    expect(await lastRun()).toMatchObject({ status: 'QUEUED', enqueuedAt: null });
  });

  test('stops its trainer once another worker has claimed it', async () => {
    const { world, run, live } = await setUp({
      train: async (job, { onProgress, signal }) => {
        await world.db
          .updateTable('runs')
          .set({ attempt: 99 })
          .where('userId', '=', world.user.id)
          .execute();
        onProgress(progressAt(1, 2));
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        signal.throwIfAborted();
        return pretendToTrain(job);
      },
    });
    await run();
    expect(await live()).toBeNull();
  });
});
