// A job that was taken for lost and given to a second trainer while the first one still works on it.

import { expect, test } from 'vitest';
import { installBase } from '../../src/model/base/base-install.ts';
import { runTrainer } from '../../src/training/trainer.ts';
import type { TrainingJob } from '../../src/training/training-job.ts';
import { deferred } from '../support/deferred.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { briefCatalog, newTrainee } from './fixture.ts';

const MODE = 'subject';
const folder = useTemporaryFolder();
const catalog = await briefCatalog(MODE);

describeWithDatabase('of two trainers on one job', (database) => {
  test('both train to the end, the newest claim publishes, and the other leaves nothing', async () => {
    const base = await installBase({ model: 'tiny', cacheDir: folder('cache') });
    const bothTrained = deferred();
    let trained = 0;
    // neither hears that its claim is lost before it wants to publish
    const train = async (job: TrainingJob) => {
      const signal = new AbortController().signal;
      const result = await runTrainer(job, { onProgress: () => undefined, signal });
      trained += 1;
      if (trained === 2) bothTrained.resolve();
      await bothTrained.promise;
      return result;
    };
    const overrides = { base, train };
    const trainee = await newTrainee(database(), { catalog, mode: MODE, folder, overrides });
    await Promise.all([trainee.run(), trainee.run()]);
    expect(trained).toBe(2);
    expect(trainee.published).toHaveLength(1);
    expect(await trainee.live()).toMatchObject({ version: 1, id: trainee.published[0] });
    expect(await trainee.runs()).toMatchObject([{ status: 'PUBLISHED', attempt: 2 }]);
    expect((await trainee.world.statuses()).size).toBe(1);
  });
});
