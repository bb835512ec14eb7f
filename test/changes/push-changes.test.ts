import { expect, it } from 'vitest';
import type { ChangeInput } from '../../src/changes/change.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { type PushDeps, pushChanges } from '../../src/changes/push-changes.ts';
import { pageRecords, recordsById } from '../../src/changes/records.ts';
import { ensureUser } from '../../src/changes/users.ts';
import { openRows } from '../../src/db/sealed-columns.ts';
import { must } from '../../src/lib/errors.ts';
import { OUTBOX_TOPIC, runsTopic } from '../../src/lib/wakeups.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { newPhone, occurredAt, pushDeps, upsert } from './fixture.ts';

describeEachDatabase('pushChanges', (database) => {
  const phone = () => newPhone(database());

  it('applies changes in order and numbers them per user', async () => {
    const { push } = await phone();
    expect(await push(upsert(1), upsert(2))).toEqual({
      kind: 'accepted',
      results: [
        { mutationId: 1, outcome: 'APPLIED', reason: null, changeSeq: 1 },
        { mutationId: 2, outcome: 'APPLIED', reason: null, changeSeq: 2 },
      ],
      lastMutationId: 2,
      affectedModes: ['subject', 'continue'],
    });
  });

  it('accepts an empty push', async () => {
    const { push } = await phone();
    const empty = { kind: 'accepted', results: [], lastMutationId: 0, affectedModes: [] };
    expect(await push()).toEqual(empty);
  });

  it('keeps the newest state of each record (PUSH-8)', async () => {
    const { db, userId, push } = await phone();
    await push(
      upsert(1, { recordId: 'a' }),
      upsert(2, { recordId: 'a', data: { subject: 'new' } }),
    );
    await push(upsert(3, { recordId: 'b' }));
    const { edges } = await pageRecords(db, userId, {}, {});
    expect(edges.map(({ node }) => [node.recordId, node.data, node.changeSeq])).toEqual([
      ['a', { subject: 'new' }, 2],
      ['b', { subject: 'number 3' }, 3],
    ]);
    expect(edges[0]?.node.occurredAt).toEqual(occurredAt);
  });

  it('answers a repeated push from the first answers, and applies only what is new (PUSH-2)', async () => {
    const { db, userId, push } = await phone();
    await push(upsert(1), upsert(2, { source: 'notes', data: {} }));
    const again = await push(upsert(1), upsert(2, { source: 'notes', data: {} }), upsert(3));
    expect(again).toMatchObject({
      results: [
        { mutationId: 1, outcome: 'DUPLICATE', reason: null, changeSeq: 1 },
        {
          mutationId: 2,
          outcome: 'DUPLICATE',
          reason: 'data.text must be string',
          changeSeq: null,
        },
        { mutationId: 3, outcome: 'APPLIED', reason: null, changeSeq: 2 },
      ],
      lastMutationId: 3,
    });
    expect((await pageRecords(db, userId, {}, {})).edges).toHaveLength(2);
  });

  it('knows the same payload by its meaning, not by the order of its keys (PUSH-3)', async () => {
    const { push } = await phone();
    await push(upsert(1, { data: { a: 1, b: [2] } }));
    const again = await push(upsert(1, { data: { b: [2], a: 1 } }));
    expect(again).toMatchObject({ results: [{ outcome: 'DUPLICATE' }] });
  });

  it.each<[string, Partial<ChangeInput>]>([
    ['data', { data: { subject: 'other' } }],
    ['record', { recordId: 'other' }],
    ['kind', { kind: 'DELETE' }],
    ['time', { occurredAt: new Date(0) }],
  ])(
    'rejects a mutationId that was used with another %s, and goes on (PUSH-4)',
    async (_, other) => {
      const { push } = await phone();
      await push(upsert(1));
      expect(await push(upsert(1, other), upsert(2))).toMatchObject({
        results: [
          { mutationId: 1, outcome: 'REJECTED', reason: 'CONFLICT', changeSeq: null },
          { mutationId: 2, outcome: 'APPLIED', changeSeq: 2 },
        ],
        lastMutationId: 2,
      });
    },
  );

  it('applies nothing after a gap and says what it expects (PUSH-5)', async () => {
    const { db, userId, push } = await phone();
    await push(upsert(1));
    expect(await push(upsert(3), upsert(4))).toEqual({ kind: 'gap', expectedMutationId: 2 });
    expect((await pageRecords(db, userId, {}, {})).edges).toHaveLength(1);
    expect(await push(upsert(2))).toMatchObject({ lastMutationId: 2 });
  });

  it('hides a deleted record and brings it back under the same id (PUSH-11)', async () => {
    const { db, userId, push } = await phone();
    await push(upsert(1, { recordId: 'a' }));
    const { id } = must((await pageRecords(db, userId, {}, {})).edges[0], 'one record').node;
    await push(upsert(2, { recordId: 'a', kind: 'DELETE' }));
    expect(await recordsById(db, userId, [id])).toEqual([]);
    expect((await pageRecords(db, userId, {}, {})).edges).toEqual([]);
    await push(upsert(3, { recordId: 'a' }));
    expect(await recordsById(db, userId, [id])).toMatchObject([{ recordId: 'a', changeSeq: 3 }]);
  });

  it('accepts the delete of a record that never was', async () => {
    const { push } = await phone();
    expect(await push(upsert(1, { kind: 'DELETE' }))).toMatchObject({
      results: [{ outcome: 'APPLIED' }],
    });
  });

  it('withdraws what was learned while the old data is still there', async () => {
    const seen: unknown[] = [];
    const deps: PushDeps = {
      ...pushDeps(database().kysely),
      onDelete: async (tx, userId, records) => {
        const old = await tx
          .selectFrom('records')
          .select(['source', 'recordId', 'data'])
          .where('userId', '=', userId)
          .execute();
        const opened = await openRows(tx, 'records', userId, old);
        seen.push(
          records.map(({ recordId }) => recordId),
          opened.map(({ data }) => data),
        );
      },
    };
    const { push } = await newPhone(database(), deps);
    await push(upsert(1, { recordId: 'a', data: { subject: 'secret' } }));
    expect(seen).toEqual([]);
    const gone = { recordId: 'a', kind: 'DELETE' as const };
    await push(upsert(2, gone), upsert(3, { recordId: 'a', data: { subject: 'harmless' } }));
    expect(seen).toEqual([['a'], [{ subject: 'secret' }]]);
  });

  it('applies nothing of a push when withdrawing fails (PUSH-9)', async () => {
    const deps = {
      ...pushDeps(database().kysely),
      onDelete: () => Promise.reject(new Error('no')),
    };
    const { db, userId, push } = await newPhone(database(), deps);
    await expect(push(upsert(1), upsert(2, { kind: 'DELETE' }))).rejects.toThrow('no');
    expect((await pageRecords(db, userId, {}, {})).edges).toEqual([]);
    expect(await push(upsert(1))).toMatchObject({
      results: [{ outcome: 'APPLIED', changeSeq: 1 }],
    });
  });

  it('queues one waiting run for each affected mode, however often it is pushed', async () => {
    const { db, userId, push } = await phone();
    await push(upsert(1, { source: 'notes', data: { text: 'x' } }));
    await push(upsert(2), upsert(3));
    await push(upsert(4, { source: 'calendar' }));
    const runs = await db.selectFrom('runs').selectAll().where('userId', '=', userId).execute();
    expect(runs.map(({ mode, status }) => [mode, status]).sort()).toEqual([
      ['continue', 'QUEUED'],
      ['subject', 'QUEUED'],
    ]);
  });

  it('affects no mode by changes that are rejected or repeated', async () => {
    const { push } = await phone();
    await push(upsert(1));
    const again = await push(upsert(1), upsert(2, { source: 'notes', data: {} }));
    expect(again).toMatchObject({ affectedModes: [] });
  });

  it('wakes the relay once the run can be seen', async () => {
    const deps = pushDeps(database().kysely);
    const { userId, push } = await newPhone(database(), deps);
    const ticks = deps.wakeups.follow(OUTBOX_TOPIC);
    await ticks.next();
    const tick = ticks.next();
    await push(upsert(1));
    expect(await tick).toEqual({ done: false, value: undefined });
    const runs = deps.db.selectFrom('runs').selectAll().where('userId', '=', userId).execute();
    expect(await runs).toHaveLength(2);
    await deps.wakeups.close();
  });

  it('wakes nobody for a run that waits already', async () => {
    const woken: string[] = [];
    const base = pushDeps(database().kysely);
    const deps = {
      ...base,
      wakeups: { ...base.wakeups, wake: (topic: string) => woken.push(topic) },
    };
    const { userId, push } = await newPhone(database(), deps);
    await push(upsert(1));
    expect(woken).toEqual([OUTBOX_TOPIC, runsTopic(userId)]);
    await push(upsert(2));
    expect(woken).toHaveLength(2);
  });

  it('gives two devices of one user one order of changes, also when they push at once (PUSH-7)', async () => {
    const { db, userId, push } = await phone();
    await registerDevice(pushDeps(db), userId, { deviceId: 'tablet', name: 't', platform: 't' });
    const deps = pushDeps(db);
    const fromTablet = (n: number) =>
      pushChanges(deps, userId, {
        deviceId: 'tablet',
        changes: [upsert(n, { recordId: `t${n}` })],
      });
    await Promise.all([push(upsert(1)), fromTablet(1)]);
    await Promise.all([push(upsert(2)), fromTablet(2)]);
    const { edges } = await pageRecords(db, userId, {}, {});
    expect(edges.map(({ node }) => node.changeSeq)).toEqual([1, 2, 3, 4]);
    expect(await fromTablet(2)).toMatchObject({ lastMutationId: 2 });
  });

  it('applies a change once when the same push arrives twice at once (PUSH-2)', async () => {
    const { push } = await phone();
    const answers = await Promise.all([push(upsert(1)), push(upsert(1))]);
    const outcomes = answers.map((answer) =>
      answer.kind === 'accepted' ? answer.results[0]?.outcome : answer.kind,
    );
    expect(outcomes.sort()).toEqual(['APPLIED', 'DUPLICATE']);
  });

  it('knows no device of another user', async () => {
    const { db } = await phone();
    const stranger = await ensureUser(db, 'stranger', new Date());
    const push = pushChanges(pushDeps(db), stranger.id, { deviceId: 'phone', changes: [] });
    await expect(push).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('shows no record to another user', async () => {
    const { db, userId, push } = await phone();
    await push(upsert(1));
    const { id } = must((await pageRecords(db, userId, {}, {})).edges[0], 'one record').node;
    const stranger = await ensureUser(db, 'stranger', new Date());
    expect(await recordsById(db, stranger.id, [id])).toEqual([]);
    expect((await pageRecords(db, stranger.id, {}, {})).edges).toEqual([]);
  });

  it('pages the records of one source', async () => {
    const { db, userId, push } = await phone();
    await push(upsert(1), upsert(2, { source: 'notes', data: { text: 'n' } }), upsert(3));
    const { edges } = await pageRecords(db, userId, { source: 'mail' }, { first: 1 });
    expect(edges.map(({ node }) => node.recordId)).toEqual(['m1']);
    await expect(pageRecords(db, userId, { source: '\0' }, {})).rejects.toMatchObject({
      code: 'BAD_INPUT',
    });
  });
});
