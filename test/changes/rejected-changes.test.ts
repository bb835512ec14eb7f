import { expect, it } from 'vitest';
import type { ChangeInput } from '../../src/changes/change.ts';
import { pageRecords } from '../../src/changes/records.ts';
import type { Json } from '../../src/lib/canonical-json.ts';
import { describeEachDatabase } from '../support/servers/databases.ts';
import { newPhone, upsert } from './fixture.ts';

describeEachDatabase('pushChanges', (database) => {
  const phone = () => newPhone(database());

  it.each<[string, Partial<ChangeInput>, RegExp]>([
    [
      'an unknown source',
      { source: 'sms' },
      /^source "sms" is unknown; it must be one of mail, notes/,
    ],
    [
      'data that does not fit',
      { source: 'notes', data: { text: 1 } },
      /^data.text must be string$/,
    ],
    ['an upsert without data', { data: undefined }, /^data is required/],
    ['an upsert of null', { data: null }, /^data is required/],
    ['an empty recordId', { recordId: '' }, /^recordId must have from 1 to 1000 characters/],
    ['an endless recordId', { recordId: 'x'.repeat(1001) }, /^recordId must have .* it has 1001/],
    ['U+0000 in a recordId', { recordId: 'a\0' }, /^recordId must not hold the character U\+0000/],
    [
      'U+0000 deep in the data',
      { data: { a: ['x', { b: '\0' }] } },
      /^data.a\[1\].b must not hold .*U\+0000/,
    ],
    ['U+0000 in a key', { data: { 'a\0': 1 } }, /^a field name in data must not hold .*U\+0000/],
    [
      'half a surrogate pair',
      { data: { a: '\ud83d' } },
      /^data.a must not hold half of a surrogate pair/,
    ],
    [
      'an infinite number',
      { data: { a: Number.POSITIVE_INFINITY } },
      /^data.a must be a finite number/,
    ],
    ['data nested too deep', { data: nested(100_000) }, /must not be nested more than 64 deep/],
    ['an invalid date', { occurredAt: new Date('nonsense') }, /^occurredAt must be a date/],
    [
      'a date that SQL cannot hold',
      { occurredAt: new Date(8.64e15) },
      /^occurredAt must be a date/,
    ],
  ])('rejects %s with a reason, and applies what comes behind (PUSH-6)', async (_, bad, reason) => {
    const { push } = await phone();
    expect(await push(upsert(1, bad), upsert(2))).toMatchObject({
      results: [
        {
          mutationId: 1,
          outcome: 'REJECTED',
          reason: expect.stringMatching(reason),
          changeSeq: null,
        },
        { mutationId: 2, outcome: 'APPLIED', changeSeq: 1 },
      ],
      lastMutationId: 2,
    });
  });

  it('keeps every character that Unicode allows', async () => {
    const { db, userId, push } = await phone();
    const data = { text: 'ä\u0001\u2028😀\uffff"\\' };
    await push(upsert(1, { data, recordId: '😀' }));
    expect((await pageRecords(db, userId, {}, {})).edges[0]?.node).toMatchObject({
      recordId: '😀',
      data,
    });
  });
});

function nested(depth: number): Json {
  let value: Json = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return { value };
}
