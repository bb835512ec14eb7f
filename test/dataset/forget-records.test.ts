import { beforeAll, expect, it } from 'vitest';
import { contextOf } from '../../src/changes/context.ts';
import { loadDataset } from '../../src/dataset/load-dataset.ts';
import { upToDateThrough } from '../../src/dataset/up-to-date.ts';
import type { Database } from '../../src/db/database.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';
import { sampleContact, sampleMail, sampleReply } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes } from '../support/test-user.ts';
import { World } from '../support/world.ts';

let catalog: ModeCatalog;
beforeAll(async () => {
  catalog = await loadShippedModes();
});

describeEachDatabase('forgetRecords', (database: () => Database) => {
  it('revokes superseded adapters that held an older state of the record, in every mode', async () => {
    const world = await World.open(database(), catalog);
    const [subject, reply] = [catalog.mode('subject'), catalog.mode('reply')];
    await world.user.push(sampleReply('m1', 'ann@example.org'));
    const old = [await world.train(subject), await world.train(reply)];
    await world.user.push(sampleMail('m1', ''), sampleMail('m2', 'other'));
    const live = await world.train(subject);
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    const statuses = await world.statuses();
    expect(old.map(({ id }) => statuses.get(id))).toEqual(['REVOKED', 'REVOKED']);
    expect(statuses.get(live.id)).toBe('LIVE');
  });

  it('revokes on the delete of a contact whom only a prompt showed', async () => {
    const world = await World.open(database(), catalog);
    await world.user.push(
      sampleReply('m1', 'Ann@example.org'),
      sampleContact('c1', 'ann@example.org'),
      sampleContact('c2', 'bo@example.org'),
    );
    const adapter = await world.train(catalog.mode('reply'));
    await world.user.push({ source: 'contacts', recordId: 'c2' });
    expect((await world.statuses()).get(adapter.id)).toBe('LIVE');
    await world.user.push({ source: 'contacts', recordId: 'c1' });
    expect((await world.statuses()).get(adapter.id)).toBe('REVOKED');
  });

  it('leaves adapters alone when a record is only written over', async () => {
    const world = await World.open(database(), catalog);
    await world.user.push(sampleMail('m1', 'one'));
    const adapter = await world.train(catalog.mode('subject'));
    await world.user.push(sampleMail('m1', 'two'));
    expect((await world.statuses()).get(adapter.id)).toBe('LIVE');
  });

  it('keeps none of the texts, and folds what is left', async () => {
    const world = await World.open(database(), catalog);
    const subject = catalog.mode('subject');
    await world.user.push(sampleMail('m1', 'SECRET'), sampleMail('m2', 'other'));
    await world.train(subject);
    await world.user.push(sampleMail('m1', 'SECRET too'));
    await world.fold(subject);
    const before = await world.dump();
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    const after = await world.dump();
    expect([before.includes('SECRET'), after.includes('SECRET')]).toEqual([true, false]);
    const row = await world.fold(subject);
    const loaded = await loadDataset(world.db, subject, row);
    expect(loaded?.examples.map(({ target }) => target)).toEqual(['other']);
  });

  it('takes the record up again when it comes back unchanged before the next fold', async () => {
    const world = await World.open(database(), catalog);
    const subject = catalog.mode('subject');
    await world.user.push(sampleMail('m1', 'one'));
    const before = await world.fold(subject);
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    await world.user.push(sampleMail('m1', 'one'));
    const after = await world.fold(subject);
    expect(after.sha256).toBe(before.sha256);
    expect((await loadDataset(world.db, subject, after))?.examples).toHaveLength(1);
  });

  it('cancels the runs under way of the modes that learnt from the record, and queues a forced one', async () => {
    const world = await World.open(database(), catalog);
    const [subject, continuing] = [catalog.mode('subject'), catalog.mode('continue')];
    await world.user.push(sampleMail('m1', 'one'), sampleReply('m2', 'ann@example.org'));
    await world.train(subject);
    await world.db.deleteFrom('runs').where('userId', '=', world.user.id).execute();
    await world.startRun(subject);
    await world.startRun(continuing);
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    const runs = await world.db
      .selectFrom('runs')
      .select(['mode', 'status', 'reason', 'forced'])
      .where('userId', '=', world.user.id)
      .orderBy('mode')
      .orderBy('status')
      .execute();
    expect(runs).toEqual([
      { mode: 'continue', status: 'QUEUED', reason: null, forced: false },
      { mode: 'continue', status: 'RUNNING', reason: null, forced: false },
      { mode: 'reply', status: 'QUEUED', reason: null, forced: false },
      { mode: 'subject', status: 'CANCELLED', reason: 'DATA_DELETED', forced: false },
      { mode: 'subject', status: 'QUEUED', reason: null, forced: true },
    ]);
  });

  it('withdraws what the mode is up to date with, until the rebuild', async () => {
    const world = await World.open(database(), catalog);
    const subject = catalog.mode('subject');
    const learnt = await world.user.push(sampleMail('m1', 'one'), sampleMail('m2', 'two'));
    await world.train(subject);
    expect(await upToDateThrough(world.db, world.user.id, subject)).toBe(learnt);
    const deleted = await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    expect(await upToDateThrough(world.db, world.user.id, subject)).toBe(0);
    await world.train(subject);
    expect(await upToDateThrough(world.db, world.user.id, subject)).toBe(deleted);
  });

  it('erases the preferences and completions made from the record, folded or not', async () => {
    const world = await World.open(database(), catalog);
    const mail = sampleMail('m1', 'one');
    const { body } = mail.data as { body: string };
    await world.user.push(mail);
    const made = await world.answer('subject', { body: `${body}\n` }, 'SECRET');
    const other = await world.answer('subject', { body: 'another body' }, 'dull');
    await world.rate(made.id, 'SECRET too');
    await world.rate(other.id, 'bright');
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    expect(await world.preferenceCount('subject')).toBe(1);
    expect(await world.dump()).not.toContain('SECRET');
    await expect(world.rate(made.id, 'again')).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('erases the ratings of an input that another record makes as well, and none of other inputs', async () => {
    const world = await World.open(database(), catalog);
    const subject = catalog.mode('subject');
    const mails = ['one', 'one', 'other'].map((text, i) => sampleMail(`m${i}`, text));
    await world.user.push(...mails);
    const adapter = await world.train(subject);
    for (const { data } of mails.slice(1)) {
      const { body } = data as { body: string };
      const { id } = await world.answer('subject', { body }, `Re: ${body}`, { adapter });
      await world.rate(id, 'bright');
    }
    await world.user.push({ source: 'mail.sent', recordId: 'm0' });
    const loaded = await loadDataset(world.db, subject, await world.fold(subject));
    expect(loaded?.examples.map(({ target }) => target).sort()).toEqual(['one', 'other']);
    expect(loaded?.preferences).toMatchObject([
      { rejected: expect.stringContaining('other'), adapterId: adapter.id },
    ]);
    expect((await world.statuses()).get(adapter.id)).toBe('REVOKED');
  });

  it('erases the preferences about prompts that showed the record', async () => {
    const world = await World.open(database(), catalog);
    const input = { from: 'ann@example.org', subject: 's', body: 'b' };
    const unaware = await world.answer('reply', input, 'dull');
    await world.user.push(sampleContact('c1', 'ann@example.org'));
    await world.answer('reply', input, 'SECRET');
    await world.rate(unaware.id, 'SECRET too');
    await world.user.push({ source: 'contacts', recordId: 'c1' });
    expect(await world.preferenceCount('reply')).toBe(0);
    expect(await world.dump()).not.toContain('SECRET');
  });

  it('revokes the adapters whose dataset held a preference made from the record, also one that was replaced', async () => {
    const world = await World.open(database(), catalog);
    const subject = catalog.mode('subject');
    const mail = sampleMail('m1', 'one');
    const { body } = mail.data as { body: string };
    const { id } = await world.answer('subject', { body }, 'dull');
    await world.user.push(sampleMail('m0', 'other'));
    const before = await world.train(subject);
    await world.rate(id, 'bright');
    const rated = await world.train(subject);
    await world.rate(id, 'brighter');
    const replaced = await world.train(subject);
    await world.user.push(mail);
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    const statuses = await world.statuses();
    const after = [before, rated, replaced].map((adapter) => statuses.get(adapter.id));
    expect(after).toEqual(['SUPERSEDED', 'REVOKED', 'REVOKED']);
  });

  it('revokes the adapter that learnt a preference between answers that showed the record', async () => {
    const world = await World.open(database(), catalog);
    const input = { from: 'ann@example.org', subject: 's', body: 'b' };
    await world.user.push(sampleContact('c1', 'ann@example.org'));
    const shown = await world.answer('reply', input, 'dull');
    await world.rate(shown.id, 'bright');
    const adapter = await world.train(catalog.mode('reply'));
    await world.user.push({ source: 'contacts', recordId: 'c1' });
    expect((await world.statuses()).get(adapter.id)).toBe('REVOKED');
  });

  it('makes no preference of an answer that was under way when what it showed was deleted', async () => {
    const world = await World.open(database(), catalog);
    const input = { from: 'ann@example.org', subject: 's', body: 'b' };
    await world.user.push(sampleContact('c1', 'ann@example.org'));
    const context = await contextOf(world.db, world.user.id, catalog.mode('reply'), input);
    await world.user.push({ source: 'contacts', recordId: 'c1' });
    const { id } = await world.answer('reply', input, 'late', { context });
    await expect(world.rate(id, 'better')).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('touches nothing of another user who has a record of the same name', async () => {
    const [world, other] = [
      await World.open(database(), catalog),
      await World.open(database(), catalog),
    ];
    for (const each of [world, other]) await each.user.push(sampleMail('m1', 'one'));
    const adapter = await other.train(catalog.mode('subject'));
    const before = await other.dump();
    await world.user.push({ source: 'mail.sent', recordId: 'm1' });
    expect((await other.statuses()).get(adapter.id)).toBe('LIVE');
    expect(await other.dump()).toBe(before);
  });
});
