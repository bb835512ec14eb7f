// What a push tells of the states that it replaces.

import type { KyselyPlugin } from 'kysely';
import { expect, it } from 'vitest';
import type { LiveRecord } from '../../src/changes/core/find-records.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { type PushDeps, pushChanges } from '../../src/changes/push-changes.ts';
import { pageRecords } from '../../src/changes/records.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { newPhone, pushDeps, upsert } from './fixture.ts';

describeEachDatabase('pushChanges', (database) => {
  /** A phone whose hooks tell of every state that is written over, and of every delete. */
  async function toldPhone() {
    const told: unknown[] = [];
    const textOf = ({ recordId, data }: LiveRecord) =>
      `${recordId}: ${(data as { subject: string }).subject}`;
    const deps: PushDeps = {
      ...pushDeps(database().kysely),
      onOverwrite: (_tx, _userId, states) => {
        told.push(states.map(textOf));
        return Promise.resolve();
      },
      onDelete: (_tx, _userId, records) => {
        told.push(`delete ${records.map(({ recordId }) => recordId)}`);
        return Promise.resolve();
      },
    };
    return { told, deps, ...(await newPhone(database(), deps)) };
  }

  const written = (mutationId: number, recordId: string, subject: string) =>
    upsert(mutationId, { recordId, data: { subject } });

  it('tells of the states that it writes over, also of those that only the push has seen', async () => {
    const { told, push } = await toldPhone();
    await push(written(1, 'a', '1'), written(2, 'b', '1'));
    expect(told).toEqual([]);
    await push(written(3, 'a', '2'), written(4, 'c', '1'));
    expect(told.splice(0)).toEqual([['a: 1']]);
    await push(written(5, 'd', '1'), written(6, 'd', '2'), written(7, 'b', '2'));
    expect(told.splice(0)).toEqual([['b: 1', 'd: 1']]);
    const gone = upsert(9, { recordId: 'a', kind: 'DELETE' });
    await push(written(8, 'a', '3'), gone, written(10, 'a', '4'), written(11, 'a', '5'));
    expect(told.splice(0)).toEqual([['a: 3'], 'delete a', ['a: 4']]);
  });

  it('tells of nothing when a push is repeated, comes after a gap or brings back what was deleted', async () => {
    const { told, push } = await toldPhone();
    await push(written(1, 'a', '1'));
    await push(written(2, 'a', '2'), upsert(3, { recordId: 'b', kind: 'DELETE' }));
    told.length = 0;
    expect(await push(written(2, 'a', '2'))).toMatchObject({ results: [{ changeSeq: 2 }] });
    expect(await push(written(9, 'a', '3'))).toEqual({ kind: 'gap', expectedMutationId: 4 });
    await push(written(4, 'b', '1'));
    expect(told).toEqual([]);
    expect(await push(written(4, 'b', '1'), written(5, 'b', '2'))).toMatchObject({
      results: [{ outcome: 'DUPLICATE' }, { outcome: 'APPLIED', changeSeq: 5 }],
    });
    expect(told).toEqual([['b: 1']]);
  });

  it('tells of each state once when two devices write over it at once', async () => {
    const { told, deps, userId, push } = await toldPhone();
    await registerDevice(deps, userId, { deviceId: 'tablet', name: 't', platform: 't' });
    await push(written(1, 'a', 'first'));
    const fromTablet = pushChanges(deps, userId, {
      deviceId: 'tablet',
      changes: [written(1, 'a', 'of the tablet')],
    });
    await Promise.all([push(written(2, 'a', 'of the phone')), fromTablet]);
    const { edges } = await pageRecords(deps.db, userId, {}, {});
    const left = edges.map(({ node }) => `a: ${(node.data as { subject: string }).subject}`);
    expect([...told, left].sort()).toEqual([
      ['a: first'],
      ['a: of the phone'],
      ['a: of the tablet'],
    ]);
  });

  it('takes records that are new in one call of the database', async () => {
    let calls = 0;
    const counting: KyselyPlugin = {
      transformQuery: ({ node }) => {
        calls += 1;
        return node;
      },
      transformResult: ({ result }) => Promise.resolve(result),
    };
    const deps = { ...pushDeps(database().kysely), db: database().kysely.withPlugin(counting) };
    const { push } = await newPhone(database(), deps);
    calls = 0;
    await push(upsert(1), upsert(2), upsert(3));
    expect(calls).toBe(1);
    await push(upsert(4, { recordId: 'm1' }));
    expect(calls).toBeGreaterThan(2);
  });
});
