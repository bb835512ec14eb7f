// Datasets of before were named by the sorted list of all their hashes.

import { createHash } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { expect, it } from 'vitest';
import { foldDataset } from '../../src/dataset/fold-dataset.ts';
import type { Database, Db } from '../../src/db/database.ts';
import { datasetNames } from '../../src/db/migrations/0008-dataset-names.ts';
import type { Mode } from '../../src/modes/mode.ts';
import { sampleMail } from '../support/mailbox.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { loadShippedModes, NOW, newTestUser } from '../support/test-user.ts';
import { forgettingWith } from '../support/world.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describeEachDatabase('datasets with their old names', (database: () => Database) => {
  it('are given new ones, but for those of which something was erased', async () => {
    const db = database().kysely;
    const catalog = await loadShippedModes();
    const user = await newTestUser(db, catalog, forgettingWith(catalog));
    // its fold counts preferences and does not open them, so that one without an input will do
    const mode: Mode = { ...catalog.mode('subject'), objective: 'SFT' };
    const fold = async () => (await foldDataset(db, user.id, mode, NOW)).id;
    await user.push(sampleMail('m1', 'one'), sampleMail('m2', 'two'), sampleMail('gone', 'three'));
    const erased = await fold();
    await user.push({ source: 'mail.sent', recordId: 'gone' });
    await fold();
    await user.push(sampleMail('m1', 'written over'));
    await fold();
    await db
      .insertInto('preferences')
      .values({
        ...{ userId: user.id, mode: 'subject', completionId: user.id, adapterId: null },
        ...{ input: null, context: null, inputSha256: 'i', chosen: null, rejected: null },
        ...{ sha256: sha256('preference'), changeSeq: 6, untilSeq: null, createdAt: NOW },
      })
      .execute();
    await user.push(sampleMail('m3', 'three'), sampleMail('m4', 'three'));
    await fold();
    const named = await datasets(db, user.id);
    expect(named).toHaveLength(4);
    for (const { id, changeSeq } of named) {
      const isErased = id === erased;
      const examples = await aliveAt(db, 'examples', 'fromSeq', changeSeq);
      const preferences = await aliveAt(db, 'preferences', 'changeSeq', changeSeq);
      const old = isErased ? 'of what is gone' : oldName(examples, preferences);
      await db.updateTable('datasets').set({ sha256: old }).where('id', '=', id).execute();
    }
    const before = await datasets(db, user.id);
    await sql`drop table example_buckets`.execute(db);
    await sql`drop index examples_by_bucket`.execute(db);
    await datasetNames.up(db as Kysely<unknown>);
    expect(await datasets(db, user.id)).toEqual([
      ...before.filter(({ id }) => id === erased),
      ...named.filter(({ id }) => id !== erased),
    ]);
  });
});

function oldName(examples: readonly string[], preferences: readonly string[]): string {
  return sha256(`${[...examples].sort().join('\n')}\n\n${[...preferences].sort().join('\n')}`);
}

async function aliveAt(db: Db, table: string, fromSeq: string, seq: number): Promise<string[]> {
  const { rows } = await sql<{ sha256: string }>`select sha256 from ${sql.table(table)}
    where ${sql.ref(fromSeq)} <= ${seq} and ${seq} < coalesce(until_seq, ${seq} + 1)`.execute(db);
  return rows.map((row) => row.sha256);
}

function datasets(db: Db, userId: string) {
  return db
    .selectFrom('datasets')
    .select(['id', 'sha256', 'changeSeq'])
    .where('userId', '=', userId)
    .orderBy('changeSeq')
    .execute();
}
