import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LiveRecord } from '../../../src/changes/core/find-records.ts';
import { MAX_INPUT_CHARACTERS, MAX_TARGET_CHARACTERS } from '../../../src/dataset/core/clean.ts';
import { reduce } from '../../../src/dataset/core/reduce.ts';
import type { ModeCatalog } from '../../../src/modes/mode.ts';
import { anyUpsert, Mailbox, sampleMail, sampleReply } from '../../support/mailbox.ts';
import { loadShippedModes } from '../../support/test-user.ts';

let catalog: ModeCatalog;
beforeAll(async () => {
  catalog = await loadShippedModes();
});

const BODY = 'The boat is out of the water and dry, so bring your brushes on Sunday and we paint.';

function mail(fields: object): LiveRecord {
  const data = { to: [], subject: 'Boat', body: BODY, ...fields };
  return { source: 'mail.sent', recordId: 'm1', data };
}

describe('the examples of a record', () => {
  it.each([
    ['a fit mail', {}, 1],
    ['an empty body', { body: '' }, 0],
    ['a body of white space', { body: ' \n\t ' }, 0],
    ['an empty subject', { subject: ' ' }, 0],
    ['a subject that is its correspondent’s', { subject: 'RE: Boat' }, 0],
    ['a binary body', { body: '\u0001\u0002\u0003PNG'.repeat(50) }, 0],
    ['a body that was decoded wrongly', { body: 'Gr\ufffd\ufffd\ufffd\ufffde' }, 0],
    ['a binary subject', { subject: '\u001b\u0007' }, 0],
    ['a body with one stray control character', { body: `${BODY}\u000c` }, 1],
    ['a body of 100,000 characters', { body: 'word '.repeat(20_000) }, 1],
    ['a body of many lines', { body: 'line\r\n\tline\n'.repeat(100) }, 1],
    ['a body in no Latin script', { body: '船は水から上がって乾いています。'.repeat(3) }, 1],
  ])('of %s', (_what, fields, count) => {
    expect(reduce(catalog.mode('subject'), [mail(fields)])).toHaveLength(count);
  });

  it('show a long text cut after a word', () => {
    const [example] = reduce(catalog.mode('subject'), [mail({ body: 'word '.repeat(20_000) })]);
    const content = example?.messages.at(-1)?.content ?? '';
    expect(content.length).toBeLessThan(MAX_INPUT_CHARACTERS + 100);
    expect(content).toContain('word word');
    expect(content).not.toMatch(/\bwor\b/);
  });

  it('are not made of a target that is too long to be an answer', () => {
    const inReplyTo = { from: 'ann@example.org', subject: 's', body: 'b' };
    const examples = (body: string) => reduce(catalog.mode('reply'), [mail({ body, inReplyTo })]);
    expect(examples('x'.repeat(MAX_TARGET_CHARACTERS))).toHaveLength(1);
    expect(examples('x'.repeat(MAX_TARGET_CHARACTERS + 1))).toHaveLength(0);
  });

  it('never read the user’s text as a template', () => {
    const body = `{{ record.subject }} {% if %} {# ${BODY}`;
    const [example] = reduce(catalog.mode('subject'), [mail({ body })]);
    expect(example?.messages.at(-1)?.content).toContain(body);
  });

  it('are none for a record that the rules did not foresee', () => {
    const odd = { source: 'mail.sent', recordId: 'm1', data: { subject: 7, body: null } };
    expect(reduce(catalog.mode('subject'), [odd, mail({})])).toHaveLength(1);
  });

  it('hold the mail and the contact that the prompt shows', () => {
    const reply = sampleReply('m1', 'ann@example.org') as LiveRecord;
    const ann = { name: 'Ann Lee', email: 'ANN@example.org', notes: 'likes tea' };
    const contact = { source: 'contacts', recordId: 'c1', data: ann };
    const [alone] = reduce(catalog.mode('reply'), [reply]);
    const [shown] = reduce(catalog.mode('reply'), [reply, contact]);
    expect(alone?.records).toEqual([{ source: 'mail.sent', recordId: 'm1' }]);
    expect(shown?.records).toEqual([
      { source: 'mail.sent', recordId: 'm1' },
      { source: 'contacts', recordId: 'c1' },
    ]);
    expect(shown?.messages.at(-1)?.content).toContain('Ann Lee');
    expect(shown?.sha256).not.toBe(alone?.sha256);
  });

  it('compare addresses by A to Z alone', () => {
    const reply = sampleReply('m1', 'äNN@example.org') as LiveRecord;
    const contact = (email: string) => ({
      ...{ source: 'contacts', recordId: 'c1', data: { name: 'Ann', email } },
    });
    const shownBy = (email: string) =>
      reduce(catalog.mode('reply'), [reply, contact(email)])[0]?.records.length;
    expect([shownBy('änn@example.org'), shownBy('Änn@example.org')]).toEqual([2, 1]);
  });
});

describe('reduce', () => {
  it('does not depend on the order of the records', () => {
    const records = fc.array(anyUpsert, { maxLength: 8 }).map((changes) => {
      const mailbox = new Mailbox();
      mailbox.apply(...changes);
      return mailbox.records();
    });
    fc.assert(
      fc.property(records, (list) => {
        for (const mode of catalog.modes) {
          const hashes = (order: typeof list) => reduce(mode, order).map(({ sha256 }) => sha256);
          expect(hashes(list.toReversed())).toEqual(hashes(list));
        }
      }),
    );
  });

  it('puts all examples of a record on one side', () => {
    const records = Array.from(
      { length: 40 },
      (_, i) => sampleMail(`m${i}`, `s${i}`) as LiveRecord,
    );
    const subject = catalog.mode('subject');
    const twice = (subject.examples.get('mail.sent') ?? []).flatMap((rule) => [rule, rule]);
    const examples = reduce({ ...subject, examples: new Map([['mail.sent', twice]]) }, records);
    expect(examples).toHaveLength(80);
    const sides = new Set(examples.map(({ record, split }) => `${record.recordId} ${split}`));
    expect(sides.size).toBe(40);
  });

  it('makes enough of the sample mailbox to train and to judge `subject`', () => {
    const lines = ['mailbox', 'contacts', 'notes'].flatMap((name) =>
      readFileSync(new URL(`../../../examples/${name}.jsonl`, import.meta.url), 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    );
    const records = lines.map((line) => JSON.parse(line) as LiveRecord);
    const subject = catalog.mode('subject');
    const heldOut = reduce(subject, records).filter(({ split }) => split === 'holdout');
    expect(heldOut.length).toBeGreaterThanOrEqual(subject.gate.minHoldout);
  });
});
