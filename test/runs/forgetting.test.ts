// The proof of forgetting: after a delete, the real trainer on a real base gives the very bytes that it gives to someone
// who never had the records.

import { expect, onTestFinished, test } from 'vitest';
import { encodeLineage, LINEAGE_FILE } from '../../src/adapters/lineage.ts';
import { writePeftFolder } from '../../src/adapters/peft.ts';
import { registerShipped } from '../../src/adapters/shipped.ts';
import { splitOf } from '../../src/dataset/core/split.ts';
import type { AdapterRow } from '../../src/db/schema.ts';
import type { RatingInput } from '../../src/feedback/rate-completion.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { installBase } from '../../src/model/base/base-install.ts';
import { roundLora } from '../../src/model/lora/lora-wire.ts';
import { readFileIn } from '../../src/sealing/private-folder.ts';
import { shipAdapters } from '../../src/start/ship-adapters.ts';
import { recipeOf } from '../../src/training/core/recipe.ts';
import { trainAdapter } from '../../src/training/train-adapter.ts';
import type { TrainingJob } from '../../src/training/training-job.ts';
import { sampleMail } from '../support/mailbox.ts';
import { randomAdapter } from '../support/model/random-llama.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { useTemporaryFolder } from '../support/temporary-folder.ts';
import { NOW, type TestChange } from '../support/test-user.ts';
import { briefCatalog, newTrainee } from './fixture.ts';

const MODE = 'subject';
const folder = useTemporaryFolder();
const catalog = await briefCatalog(MODE);
const mailOf = (i: number) => sampleMail(`mail-${i}`, `about number ${i}`);
const inPart = (part: string) => (mail: TestChange) => splitOf('mail.sent', mail.recordId) === part;
const deleteOf = ({ source, recordId }: TestChange): TestChange => ({ source, recordId });

/** What a user says of the answer to a mail. */
interface Rating {
  readonly mail: TestChange;
  readonly says: Omit<RatingInput, 'completionId'>;
}

/** Of every three answers two are edited, and one gets a thumb, up and down by turns. */
function ratingOf(mail: TestChange, i: number): Rating {
  const verdict = i % 2 === 0 ? 'UP' : 'DOWN';
  return { mail, says: i % 3 === 2 ? { verdict } : { better: mail.recordId } };
}

describeWithDatabase('a user who deleted records', (database) => {
  /** A user whose runs are real ones. */
  async function traineeWith(mails: readonly TestChange[]) {
    const base = await installBase({ model: 'tiny', cacheDir: folder('cache') });
    const train = (job: TrainingJob) =>
      trainAdapter(job, { clock: systemClock, onProgress: () => undefined });
    const overrides = { base, train };
    return newTrainee(database(), { catalog, mode: MODE, folder, overrides, mails });
  }

  type Trainee = Awaited<ReturnType<typeof traineeWith>>;

  /** Rebuilt and other, who never had what was deleted, have the same: tensors, files and what these say of themselves. */
  async function expectSameAdapter(rebuilt: Trainee, other: Trainee) {
    const [mine, theirs] = [await rebuilt.live(), await other.live()];
    expect(mine?.sha256).toBe(theirs?.sha256);
    expect(mine?.files).toEqual(theirs?.files);
    expect(mine?.lineage).toEqual(theirs?.lineage);
    const { deps, world } = rebuilt;
    const made = await deps.store.folderOf(must(mine, 'the rebuilt adapter'));
    const text = (await readFileIn(made, LINEAGE_FILE)).toString();
    expect(text).toBe(encodeLineage(must(theirs?.lineage, 'a lineage')));
    expect(text).not.toContain(world.user.id);
  }

  test('has the adapter of one who never had them, though runs went on from each other', async () => {
    const mails = Array.from({ length: 60 }, (_, i) => mailOf(i));
    const deleter = await traineeWith(mails.slice(0, 50));
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
    await deleter.world.user.push(...gone.map(deleteOf));
    expect(await deleter.live()).toBeNull();
    await deleter.run();
    const rebuilt = await deleter.live();

    const stranger = await traineeWith(mails.filter((mail) => !gone.includes(mail)));
    await stranger.run();
    expect(rebuilt).toMatchObject({ version: 4, startedFromId: null });
    await expectSameAdapter(deleter, stranger);
    const earlier = [first, second, third].map((adapter) => adapter?.sha256);
    expect(earlier).not.toContain(rebuilt?.sha256);
  });

  /** Has the mode ship an adapter that changes answers a little; returns its name. */
  async function ship({ world: { db }, deps: { base, store, clock } }: Trainee): Promise<string> {
    const mode = { ...catalog.mode(MODE), shippedAdapter: folder('ships') };
    const { lora } = recipeOf(mode, base.config);
    const adapter = roundLora(randomAdapter(base.config, lora, 1, 0.02));
    const files = await writePeftFolder(mode.shippedAdapter, adapter, base);
    await shipAdapters({ db, catalog: { ...catalog, modes: [mode] }, store, base, clock });
    onTestFinished(() => registerShipped(db, [], NOW));
    return must(files[1], 'its tensors').sha256;
  }

  /** Answers each mail with the adapter, and rates the answer. */
  async function rate({ world }: Trainee, adapter: AdapterRow | null, ratings: readonly Rating[]) {
    for (const { mail, says } of ratings) {
      const { body } = mail.data as { body: string };
      const text = `Re: ${mail.recordId}`;
      const { id: completionId } = await world.answer(MODE, { body }, text, { adapter });
      await world.say({ completionId, ...says });
    }
  }

  test('has it also where ratings are learnt from, and where the mode ships an adapter', async () => {
    const mails = Array.from({ length: 50 }, (_, i) => mailOf(i));
    const gone = [
      ...mails.filter(inPart('train')).slice(0, 2),
      ...mails.filter(inPart('holdout')).slice(0, 1),
    ];
    const left = mails.filter((mail) => !gone.includes(mail));
    const ratings = [...gone, ...left.slice(0, 16)].map(ratingOf);
    // states that no run sees, but for what was said of answers to them
    const drafts = gone.map(({ recordId }) => sampleMail(recordId, `first words of ${recordId}`));
    const deleter = await traineeWith(drafts);
    await rate(deleter, null, drafts.map(ratingOf));
    await deleter.world.user.push(...mails);
    const shipped = await ship(deleter);
    await deleter.run();
    const first = await deleter.live();
    await rate(deleter, first, ratings);
    await deleter.run();
    const second = await deleter.live();
    expect(second).toMatchObject({ version: 2, startedFromId: first?.id });
    await deleter.world.user.push(...gone.map(deleteOf));
    await deleter.run();
    const rebuilt = await deleter.live();

    const stranger = await traineeWith(left);
    await rate(
      stranger,
      null,
      ratings.filter(({ mail }) => left.includes(mail)),
    );
    await stranger.run();
    expect(rebuilt).toMatchObject({ version: 3, lineage: { parentSha256: shipped } });
    expect(rebuilt?.lineage?.figures.preferences).toBeGreaterThan(0);
    await expectSameAdapter(deleter, stranger);
    expect([first, second].map((adapter) => adapter?.sha256)).not.toContain(rebuilt?.sha256);
  });
});
