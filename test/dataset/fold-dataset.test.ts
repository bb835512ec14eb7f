import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { LiveRecord } from '../../src/changes/core/find-records.ts';
import { datasetSha256 } from '../../src/dataset/core/dataset-name.ts';
import { reduce } from '../../src/dataset/core/reduce.ts';
import { foldDataset } from '../../src/dataset/fold-dataset.ts';
import { loadDataset } from '../../src/dataset/load-dataset.ts';
import type { Database } from '../../src/db/database.ts';
import { openRows } from '../../src/db/sealed-columns.ts';
import type { Mode, ModeCatalog } from '../../src/modes/mode.ts';
import { anyChange, Mailbox, sampleMail, sampleReply } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes, NOW, newTestUser, type TestChange } from '../support/test-user.ts';
import { forgettingWith } from '../support/world.ts';

/** Pushes of some changes each; after each push the modes of these indices are folded. */
const history = fc.array(
  fc.record({
    changes: fc.array(anyChange, { minLength: 1, maxLength: 4 }),
    folds: fc.subarray([0, 1, 2]),
  }),
  { minLength: 1, maxLength: 6 },
);

let catalog: ModeCatalog;
beforeAll(async () => {
  catalog = await loadShippedModes();
});

function fromScratch(mode: Mode, records: readonly LiveRecord[]) {
  const examples = reduce(mode, records).map(({ split, messages, target, sha256 }) => ({
    ...{ split, messages, target, sha256 },
  }));
  return { examples, sha256: datasetSha256(examples, []) };
}

describeEachDatabase('foldDataset', (database: () => Database) => {
  const fold = (userId: string, mode: Mode) => foldDataset(database().kysely, userId, mode, NOW);

  it('gives what reducing from scratch gives, whatever was folded in between', async () => {
    const property = fc.asyncProperty(history, async (steps) => {
      const user = await newTestUser(database().kysely, catalog);
      const mailbox = new Mailbox();
      for (const { changes, folds } of steps) {
        await user.push(...changes);
        mailbox.apply(...changes);
        for (const mode of catalog.modes.filter((_, i) => folds.includes(i))) {
          await fold(user.id, mode);
        }
      }
      for (const mode of catalog.modes) {
        const row = await fold(user.id, mode);
        const expected = fromScratch(mode, mailbox.records());
        expect(row).toMatchObject({
          sha256: expected.sha256,
          exampleCount: expected.examples.length,
        });
        const loaded = await loadDataset(database().kysely, mode, row);
        expect(loaded).toEqual({ examples: expected.examples, preferences: [], thumbs: [] });
      }
    });
    await fc.assert(property, { numRuns: 8 });
  });

  it('makes the answers anew that show a contact, or should', async () => {
    const reply = catalog.mode('reply');
    const user = await newTestUser(database().kysely, catalog);
    const mailbox = new Mailbox();
    const contact = (recordId: string, email: string, name: string) => ({
      ...{ source: 'contacts', recordId, data: { name, email } },
    });
    const steps: readonly TestChange[][] = [
      [sampleReply('m1', 'Ann@example.org'), sampleReply('m2', 'bo@example.org')],
      [contact('c2', 'ann@example.org', 'Ann appears')],
      [contact('c2', 'ann@example.org', 'Ann is renamed')],
      [contact('c1', 'ann@example.org', 'Another Ann sorts first')],
      [contact('c1', 'bo@example.org', 'Ann turns out to be Bo')],
      [{ source: 'contacts', recordId: 'c2' }],
      [{ source: 'contacts', recordId: 'c1' }],
    ];
    const seen: string[] = [];
    for (const changes of steps) {
      await user.push(...changes);
      mailbox.apply(...changes);
      const row = await fold(user.id, reply);
      expect(row.sha256).toBe(fromScratch(reply, mailbox.records()).sha256);
      seen.push(row.sha256);
    }
    expect(new Set(seen).size).toBe(6);
    expect(seen.at(-1)).toBe(seen[0]);
  });

  it('names a dataset whose buckets are kept as one that is read in full', async () => {
    const user = await newTestUser(database().kysely, catalog, forgettingWith(catalog));
    const subject = catalog.mode('subject');
    const mailbox = new Mailbox();
    const push = async (...changes: readonly TestChange[]) => {
      await user.push(...changes);
      mailbox.apply(...changes);
    };
    const bucketsOf = () =>
      database()
        .kysely.selectFrom('exampleBuckets')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('userId', '=', user.id)
        .executeTakeFirstOrThrow();
    const check = async () => {
      const row = await fold(user.id, subject);
      const { examples, sha256 } = fromScratch(subject, mailbox.records());
      expect(row).toMatchObject({ sha256, exampleCount: examples.length });
    };
    // some of them alike
    const mails = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) =>
        sampleMail(`m${from + i}`, `${(from + i) % 900}`),
      );
    await push(...mails(0, 990));
    await check();
    expect(await bucketsOf()).toEqual({ count: 0 });
    await push(...mails(990, 1_030));
    await check();
    expect(await bucketsOf()).toEqual({ count: 256 });
    const steps: readonly (readonly TestChange[])[] = [
      [sampleMail('m1030', 'new'), sampleMail('m3', 'written over')],
      [sampleMail('m3', '3')],
      [{ source: 'mail.sent', recordId: 'm4' }],
      [sampleMail('m5', 'on the way'), sampleMail('m6', '')],
      mails(0, 40).map(({ source, recordId }) => ({ source, recordId })),
      mails(0, 40),
    ];
    for (const changes of steps) {
      await push(...changes);
      await check();
    }
    await push(sampleMail('m7', 'counted twice?'), sampleMail('m8', 'counted twice?'));
    await check();
    const changed: Mode = { ...subject, shapeSha256: 'other', prompt: subject.prompt.slice(-1) };
    const row = await fold(user.id, changed);
    expect(row.sha256).toBe(fromScratch(changed, mailbox.records()).sha256);
  });

  it('cuts a first import into several transactions', async () => {
    const user = await newTestUser(database().kysely, catalog);
    const mails = Array.from({ length: 450 }, (_, i) => sampleMail(`m${i}`, `subject ${i}`));
    const seq = await user.push(...mails);
    const folded = await fold(user.id, catalog.mode('subject'));
    expect(folded).toMatchObject({ exampleCount: 450, changeSeq: seq });
  });

  it('names equal data alike, whoever has it, and other data otherwise', async () => {
    const subject = catalog.mode('subject');
    const hashOf = async (...changes: TestChange[]) => {
      const user = await newTestUser(database().kysely, catalog);
      await user.push(...changes);
      return (await fold(user.id, subject)).sha256;
    };
    const [a, b] = [sampleMail('m1', 'one'), sampleMail('m2', 'two')];
    expect(await hashOf(a, b)).toBe(await hashOf(b, sampleMail('m1', 'draft'), a));
    expect(await hashOf(a, b)).not.toBe(await hashOf(a));
    expect(await hashOf(a)).not.toBe(await hashOf(sampleMail('m1', 'other')));
  });

  it('finds the same dataset again when nothing has changed', async () => {
    const user = await newTestUser(database().kysely, catalog);
    await user.push(sampleMail('m1', 'one'));
    const subject = catalog.mode('subject');
    const first = await fold(user.id, subject);
    expect(await fold(user.id, subject)).toEqual(first);
  });

  it('makes all examples anew, at a place of their own, when the rules of the mode have changed', async () => {
    const user = await newTestUser(database().kysely, catalog);
    const seq = await user.push(sampleMail('m1', 'one'), sampleMail('m2', 'two'));
    const subject = catalog.mode('subject');
    const before = await fold(user.id, subject);
    const changed: Mode = {
      ...subject,
      shapeSha256: 'other',
      prompt: subject.prompt.slice(-1),
    };
    const after = await fold(user.id, changed);
    expect(after.changeSeq).toBe(seq + 1);
    expect(after.sha256).not.toBe(before.sha256);
    const loaded = await loadDataset(database().kysely, changed, after);
    expect(loaded?.examples.map(({ messages }) => messages.length)).toEqual([1, 1]);
  });

  it('keeps the texts of the examples that are alive, and of no other', async () => {
    const user = await newTestUser(database().kysely, catalog);
    const subject = catalog.mode('subject');
    await user.push(sampleMail('m1', 'first draft'));
    await fold(user.id, subject);
    await user.push(sampleMail('m1', 'second draft'));
    const row = await fold(user.id, subject);
    const versions = await database()
      .kysely.selectFrom('examples')
      .select(['id', 'target', 'fromSeq', 'untilSeq'])
      .where('userId', '=', user.id)
      .orderBy('fromSeq')
      .execute();
    expect(await openRows(database().kysely, 'examples', user.id, versions)).toMatchObject([
      { target: null, fromSeq: 1, untilSeq: 2 },
      { target: 'second draft', fromSeq: 2, untilSeq: null },
    ]);
    expect(row.exampleCount).toBe(1);
  });
});

describeEachDatabase('loadDataset', (database: () => Database) => {
  it('says that a dataset is no longer there once a later one has been folded', async () => {
    const db = database().kysely;
    const user = await newTestUser(db, catalog);
    const subject = catalog.mode('subject');
    await user.push(sampleMail('m1', 'one'));
    const row = await foldDataset(db, user.id, subject, NOW);
    await user.push(sampleMail('m1', 'two'));
    await foldDataset(db, user.id, subject, NOW);
    expect(await loadDataset(db, subject, row)).toBeNull();
  });
});
