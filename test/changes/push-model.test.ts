// Random pushes from two devices of one user against a model that knows the contract and nothing of SQL.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ChangeInput } from '../../src/changes/change.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { type PushResult, pushChanges } from '../../src/changes/push-changes.ts';
import type { ChangeResult } from '../../src/changes/stored-answers.ts';
import { openRows } from '../../src/db/sealed-columns.ts';
import { canonicalJson, type Json } from '../../src/lib/canonical-json.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { catalog, newPhone, pushDeps, upsert } from './fixture.ts';

/** One user's data as the contract describes it. */
class Model {
  #changeSeq = 0;
  readonly #seen = new Map<string, { payload: string; answer: ChangeResult }[]>();
  readonly records = new Map<string, Json>();

  push(deviceId: string, changes: readonly ChangeInput[]): PushResult {
    const log = this.#seen.get(deviceId) ?? [];
    this.#seen.set(deviceId, log);
    const first = changes[0]?.mutationId ?? log.length + 1;
    if (first > log.length + 1) return { kind: 'gap', expectedMutationId: log.length + 1 };
    const fresh = changes.filter(({ mutationId }) => mutationId > log.length);
    const results = changes.map((change) => this.#answer(log, change));
    const applied = fresh.filter((change) => refused(change) === null);
    const modes = applied.flatMap(({ source }) => catalog.modesOf(source).map(({ key }) => key));
    return {
      kind: 'accepted',
      results,
      lastMutationId: log.length,
      affectedModes: [...new Set(modes)],
    };
  }

  #answer(log: { payload: string; answer: ChangeResult }[], change: ChangeInput): ChangeResult {
    const { mutationId } = change;
    const { occurredAt: _, ...rest } = change;
    const payload = canonicalJson({ ...rest, data: change.data ?? null });
    const first = log[mutationId - 1];
    if (first !== undefined) {
      return first.payload === payload
        ? { ...first.answer, outcome: 'DUPLICATE' }
        : { mutationId, outcome: 'REJECTED', reason: 'CONFLICT', changeSeq: null };
    }
    const answer = this.#apply(change);
    log.push({ payload, answer });
    return answer;
  }

  #apply(change: ChangeInput): ChangeResult {
    const { mutationId, source, recordId } = change;
    const reason = refused(change);
    if (reason !== null) return { mutationId, outcome: 'REJECTED', reason, changeSeq: null };
    this.#changeSeq += 1;
    const key = `${source}/${recordId}`;
    if (change.kind === 'DELETE') this.records.delete(key);
    else this.records.set(key, change.data ?? null);
    return { mutationId, outcome: 'APPLIED', reason: null, changeSeq: this.#changeSeq };
  }
}

function refused(change: ChangeInput): string | null {
  return change.kind === 'UPSERT'
    ? catalog.validateRecord(change.source, change.data ?? null)
    : null;
}

const anyChange = fc.record({
  source: fc.constantFrom('mail', 'notes', 'calendar'),
  recordId: fc.constantFrom('a', 'b', 'c'),
  kind: fc.constantFrom('UPSERT' as const, 'UPSERT' as const, 'DELETE' as const),
  data: fc.constantFrom<Json>({ text: 'x' }, { text: 'y' }, { text: 1 }),
});

/** A push starts some steps before or behind what the device would send next. */
const anyPush = fc.record({
  deviceId: fc.constantFrom('phone', 'tablet'),
  offset: fc.constantFrom(-3, -1, 0, 0, 0, 0, 1),
  changes: fc.array(anyChange, { maxLength: 5 }),
});

describeEachDatabase('pushChanges', (database) => {
  it('does what the contract says, whatever arrives in whatever order (PUSH-1 to PUSH-8)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyPush, { minLength: 1, maxLength: 12 }), async (pushes) => {
        const { db, userId } = await newPhone(database());
        const tablet = { deviceId: 'tablet', name: 'Tablet', platform: 'test' };
        await registerDevice(pushDeps(db), userId, tablet);
        const model = new Model();
        const last: Record<string, number> = { phone: 0, tablet: 0 };
        for (const { deviceId, offset, changes } of pushes) {
          const first = Math.max(1, (last[deviceId] ?? 0) + 1 + offset);
          const sent = changes.map((change, n) => upsert(first + n, change));
          const answer = await pushChanges(pushDeps(db), userId, { deviceId, changes: sent });
          expect(answer).toEqual(model.push(deviceId, sent));
          if (answer.kind === 'accepted') last[deviceId] = answer.lastMutationId;
        }
        const rows = db.selectFrom('records').selectAll().where('userId', '=', userId);
        const sealed = await rows.where('deleted', '=', false).execute();
        const alive = await openRows(db, 'records', userId, sealed);
        const records = alive.map(({ source, recordId, data }) => [`${source}/${recordId}`, data]);
        expect(Object.fromEntries(records)).toEqual(Object.fromEntries(model.records));
      }),
      { numRuns: 25 },
    );
  });
});
