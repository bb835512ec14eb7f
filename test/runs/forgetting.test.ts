// The proof of forgetting: after a delete, the real trainer on a real base gives the very bytes that it gives to someone
// who never had the records.

import { expect, test } from 'vitest';
import { splitOf } from '../../src/dataset/core/split.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { installBase } from '../../src/model/base/base-install.ts';
import { readFileIn } from '../../src/sealing/private-folder.ts';
import { trainAdapter } from '../../src/training/train-adapter.ts';
import { sampleMail } from '../support/mailbox.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import type { TestChange } from '../support/test-user.ts';
import { briefCatalog, newTrainee } from './fixture.ts';

const MODE = 'subject';
const folder = useTemporaryFolder();
const catalog = await briefCatalog(MODE);
const mailOf = (i: number) => sampleMail(`mail-${i}`, `about number ${i}`);
const inPart = (part: string) => (mail: TestChange) => splitOf('mail.sent', mail.recordId) === part;

describeWithDatabase('a user who deleted records', (database) => {
  test('has the adapter of one who never had them, though runs went on from each other', async () => {
    const base = await installBase({ model: 'tiny', cacheDir: folder('cache') });
    const overrides = {
      base,
      train: (job: Parameters<typeof trainAdapter>[0]) =>
        trainAdapter(job, { clock: systemClock, onProgress: () => undefined }),
    };
    const options = { catalog, mode: MODE, folder, overrides };
    const mails = Array.from({ length: 60 }, (_, i) => mailOf(i));
    const deleter = await newTrainee(database(), { ...options, mails: mails.slice(0, 50) });
    await deleter.run();
    const first = await deleter.live();
    await deleter.world.user.push(...mails.slice(50, 55));
    await deleter.run();
    const second = await deleter.live();
    await deleter.world.user.push(...mails.slice(55));
    await deleter.run();
    const third = await deleter.live();
    expect([second, third].map((adapter) => adapter?.startedFromId)).toEqual([
      first?.id,
      second?.id,
    ]);
    // some that only the first run learnt anew, and some that only a later one did
    const early = mails.slice(0, 50);
    const gone = [
      ...early.filter(inPart('train')).slice(0, 2),
      ...early.filter(inPart('holdout')).slice(0, 1),
      ...mails.slice(50).filter(inPart('train')).slice(-1),
    ];
    await deleter.world.user.push(
      ...gone.map(({ source, recordId }): TestChange => ({ source, recordId })),
    );
    expect(await deleter.live()).toBeNull();
    await deleter.run();
    const rebuilt = await deleter.live();

    const left = mails.filter((mail) => !gone.includes(mail));
    const stranger = await newTrainee(database(), { ...options, mails: left });
    await stranger.run();
    const other = await stranger.live();
    expect(rebuilt).toMatchObject({ version: 4, startedFromId: null });
    expect(rebuilt?.sha256).toBe(other?.sha256);
    expect(rebuilt?.files).toEqual(other?.files);
    expect(rebuilt?.lineage).toEqual(other?.lineage);
    expect([first, second, third].map((adapter) => adapter?.sha256)).not.toContain(other?.sha256);
    const made = await deleter.deps.store.folderOf(must(rebuilt, 'the rebuilt adapter'));
    const text = (await readFileIn(made, 'attune.json')).toString();
    expect(text).not.toContain(deleter.world.user.id);
  });
});
