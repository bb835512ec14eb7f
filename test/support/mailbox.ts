import fc from 'fast-check';
import type { LiveRecord } from '../../src/changes/core/find-records.ts';
import type { TestChange } from './test-user.ts';

/** Enough words for every mode's rules. */
const LONG = 'the boat is out of the water and dry so bring your brushes on sunday and we paint';

/** Few records, so that histories write over them again and again. Few people, two of them the same but for the case of the address, so that contacts come and go under mails. */
const person = fc.constantFrom('ann@example.org', 'Ann@Example.org', 'bo@example.org');
const word = fc.constantFrom('tea', 'boat', 'oak', '');

/** A mail that every mode but `reply` learns from. */
export function sampleMail(recordId: string, subject: string): TestChange {
  return { source: 'mail.sent', recordId, data: { to: [], subject, body: `${subject} ${LONG}` } };
}

/** A mail that answers one from `from`. */
export function sampleReply(recordId: string, from: string): TestChange {
  const inReplyTo = { from, subject: 'When?', body: `${recordId}: when do we paint?` };
  const data = { to: [from], subject: `re ${recordId}`, body: `${recordId} ${LONG}`, inReplyTo };
  return { source: 'mail.sent', recordId, data };
}

/** Someone whom replies to `email` show. */
export function sampleContact(recordId: string, email: string): TestChange {
  return { source: 'contacts', recordId, data: { name: `Name of ${recordId}`, email } };
}

const mail = fc.record({
  source: fc.constant('mail.sent'),
  recordId: fc.constantFrom('m1', 'm2', 'm3'),
  data: fc.record(
    {
      to: fc.constant(['x@example.org']),
      subject: word,
      body: word.map((text) => (text === '' ? '' : `${text} ${LONG}`)),
      inReplyTo: fc.record({ from: person, subject: word, body: fc.constant('When?') }),
    },
    { requiredKeys: ['to', 'subject', 'body'] },
  ),
});
const contact = fc.record({
  source: fc.constant('contacts'),
  recordId: fc.constantFrom('c1', 'c2'),
  data: fc.record(
    { name: word, email: person, relation: word },
    { requiredKeys: ['name', 'email'] },
  ),
});
const note = fc.record({
  source: fc.constant('notes'),
  recordId: fc.constant('n1'),
  data: fc.record({ text: word.map((text) => `${text} ${LONG}`) }),
});

/** Any upsert of a small mailbox. */
export const anyUpsert: fc.Arbitrary<TestChange> = fc.oneof(
  { arbitrary: mail, weight: 3 },
  contact,
  note,
);

/** Any upsert or delete of a small mailbox. */
export const anyChange: fc.Arbitrary<TestChange> = fc.oneof(
  { arbitrary: anyUpsert, weight: 3 },
  anyUpsert.map(({ source, recordId }) => ({ source, recordId })),
);

/** The records after some changes. */
export class Mailbox {
  readonly #records = new Map<string, LiveRecord>();

  /** Applies the changes in their order. */
  apply(...changes: readonly TestChange[]): void {
    for (const { source, recordId, data } of changes) {
      const name = `${source}/${recordId}`;
      if (data === undefined) this.#records.delete(name);
      else this.#records.set(name, { source, recordId, data });
    }
  }

  /** What is there now. */
  records(): readonly LiveRecord[] {
    return [...this.#records.values()];
  }
}
