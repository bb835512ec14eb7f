import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { ensureUser } from '../../src/changes/users.ts';
import { readFact, recordFact } from '../../src/db/facts.ts';
import { keysOf, openRow, sealRow } from '../../src/db/sealed-columns.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';

const now = new Date('2026-01-02T03:04:05.678Z');

describeEachDatabase('the database', (database) => {
  const newUser = (subject: string = randomUUID()) =>
    database()
      .kysely.insertInto('users')
      .values({ subject, feedEpoch: 'e', createdAt: now })
      .returningAll()
      .executeTakeFirstOrThrow();

  it('gives a row its id and counters, and times back as they were', async () => {
    const user = await newUser();
    expect(user).toMatchObject({ changeSeq: 0, feedSeq: 0, createdAt: now });
    expect(user.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('keeps what a user wrote sealed, and opens it as it was', async () => {
    const data = { snake_case: 1, camelCase: [{ in_list: null }], 'ü\u0000"': 'x' };
    const { kysely } = database();
    const { id: userId } = await ensureUser(kysely, randomUUID(), now);
    const name = { userId, source: 's', recordId: 'r' };
    const row = { ...name, data, deleted: false, changeSeq: 1, occurredAt: now };
    const stored = await kysely
      .insertInto('records')
      .values(sealRow(await keysOf(kysely, userId), 'records', row))
      .returningAll()
      .executeTakeFirstOrThrow();
    expect(Buffer.from(stored.data ?? []).includes('snake_case')).toBe(false);
    expect(await openRow(kysely, 'records', userId, stored)).toMatchObject(row);
    const moved = { ...stored, recordId: 'other' };
    await expect(openRow(kysely, 'records', userId, moved)).rejects.toThrow('belongs elsewhere');
  });

  it('counts big sequences in numbers', async () => {
    const { id: userId } = await newUser();
    const run = await database()
      .kysely.insertInto('runs')
      .values({ userId, mode: 'm', status: 'QUEUED', forced: false, losses: '[]', queuedAt: now })
      .returningAll()
      .executeTakeFirstOrThrow();
    expect(run.seq).toBeTypeOf('number');
    expect(run.losses).toEqual([]);
  });

  it('undoes a transaction that throws, whole', async () => {
    const subject = randomUUID();
    const transaction = database()
      .kysely.transaction()
      .execute(async (tx) => {
        await tx.insertInto('users').values({ subject, feedEpoch: 'e', createdAt: now }).execute();
        throw new Error('changed my mind');
      });
    await expect(transaction).rejects.toThrow('changed my mind');
    const { kysely } = database();
    expect(
      await kysely.selectFrom('users').where('subject', '=', subject).select('id').execute(),
    ).toEqual([]);
  });

  it('shows other queries all of a transaction or nothing of it', async () => {
    const subjects = [randomUUID(), randomUUID()];
    const { kysely } = database();
    const countUsers = () =>
      kysely.selectFrom('users').where('subject', 'in', subjects).select('id').execute();
    let seenDuring: Promise<unknown[]> = Promise.resolve([]);
    await kysely.transaction().execute(async (tx) => {
      for (const subject of subjects) {
        await tx.insertInto('users').values({ subject, feedEpoch: 'e', createdAt: now }).execute();
        seenDuring = countUsers();
      }
    });
    expect([0, 2]).toContain((await seenDuring).length);
    expect(await countUsers()).toHaveLength(2);
  });

  it('says how many rows a statement changed', async () => {
    const { id } = await newUser();
    const update = database().kysely.updateTable('users').set({ feedEpoch: 'f' });
    expect((await update.where('id', '=', id).executeTakeFirst()).numUpdatedRows).toBe(1n);
    expect((await update.where('id', '=', randomUUID()).executeTakeFirst()).numUpdatedRows).toBe(
      0n,
    );
  });

  it('keeps the first value of a fact', async () => {
    const { kysely } = database();
    const key = randomUUID();
    expect(await readFact(kysely, key)).toBeNull();
    expect(await recordFact(kysely, key, 'first')).toBe('first');
    expect(await recordFact(kysely, key, 'second')).toBe('first');
    expect(await readFact(kysely, key)).toBe('first');
  });
});
