import { beforeAll, expect, it } from 'vitest';
import { rollbackAdapter } from '../../src/adapters/rollback.ts';
import { pastDatasets } from '../../src/dataset/decide-run.ts';
import { upToDateThrough } from '../../src/dataset/up-to-date.ts';
import type { Database } from '../../src/db/database.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { sampleContact, sampleMail } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes } from '../support/test-user.ts';
import { World } from '../support/world.ts';

let catalog: ModeCatalog;
let subject: Mode;
beforeAll(async () => {
  catalog = await loadShippedModes();
  subject = catalog.mode('subject');
});

const NOTE = { source: 'notes', recordId: 'n1', data: { text: 'x' } };

describeEachDatabase('upToDateThrough', (database: () => Database) => {
  const open = () => World.open(database(), catalog);
  const through = (world: World, mode = subject) => upToDateThrough(world.db, world.user.id, mode);

  it('is 0 for a user who has done nothing', async () => {
    expect(await through(await open())).toBe(0);
  });

  it('follows changes of sources that the mode does not declare', async () => {
    const world = await open();
    const seq = await world.user.push(NOTE, sampleContact('c1', 'ann@example.org'));
    expect(await through(world)).toBe(seq);
    expect(await through(world, catalog.mode('reply'))).toBe(0);
  });

  it('waits for the publication, then follows on', async () => {
    const world = await open();
    const mailed = await world.user.push(sampleMail('m1', 'one'));
    await world.fold(subject);
    expect(await through(world)).toBe(0);
    await world.train(subject);
    expect(await through(world)).toBe(mailed);
    const noted = await world.user.push(NOTE);
    expect(await through(world)).toBe(noted);
    await world.user.push(sampleMail('m2', 'two'));
    expect(await through(world)).toBe(mailed);
  });

  it('counts changes that were folded and left the dataset as it is', async () => {
    const world = await open();
    await world.user.push(sampleMail('m1', 'one'));
    await world.train(subject);
    const undone = await world.user.push(sampleMail('m2', 'two'), sampleMail('m2', ''));
    expect(await through(world)).toBe(1);
    await world.fold(subject);
    expect(await through(world)).toBe(undone);
  });

  it('falls back with the adapter', async () => {
    const world = await open();
    const first = await world.user.push(sampleMail('m1', 'one'));
    const { id } = await world.train(subject);
    await world.user.push(sampleMail('m2', 'two'));
    await world.train(subject);
    await rollbackAdapter(world.registry, world.user.id, id);
    expect(await through(world)).toBe(first);
  });

  it('is the latest change once there is nothing left to learn', async () => {
    const world = await open();
    await world.user.push(sampleMail('m1', 'one'));
    const deleted = await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    expect(await through(world)).toBe(0);
    await world.fold(subject);
    expect(await through(world)).toBe(deleted);
  });
});

describeEachDatabase('pastDatasets', (database: () => Database) => {
  it('knows what the live adapter and the last judged run were trained on', async () => {
    const world = await World.open(database(), catalog);
    const past = () => pastDatasets(world.db, world.user.id, 'subject');
    const isKnown = async () => {
      const { sha256 } = await world.fold(subject);
      const { learnt, judged } = await past();
      return [learnt, judged].includes(sha256);
    };
    await world.user.push(trainMail(1));
    expect(await isKnown()).toBe(false);
    const { id } = await world.train(subject);
    expect(await isKnown()).toBe(true);
    await world.user.push(trainMail(2));
    expect(await isKnown()).toBe(false);
    await world.train(subject);
    await rollbackAdapter(world.registry, world.user.id, id);
    expect(await isKnown()).toBe(true);
    await world.user.push({ source: 'mail.sent', recordId: trainMail(2).recordId });
    expect(await isKnown()).toBe(true);
    expect((await past()).learnt).not.toBe((await past()).judged);
  });
});

/** The n-th mail of the training part. */
function trainMail(n: number) {
  return sampleMail(['mail-01', 'mail-02'][n - 1] ?? 'mail-03', `subject ${n}`);
}
