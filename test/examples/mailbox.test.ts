import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';

interface SampleRecord {
  readonly recordId: string;
  readonly source: string;
  readonly occurredAt: string;
  readonly data: Record<string, unknown>;
}

interface Mail {
  readonly to: readonly string[];
  readonly subject: string;
  readonly body: string;
  readonly inReplyTo?: { readonly from: string };
}

const ROOT = new URL('../../', import.meta.url);
const readText = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const readRecords = (name: string): SampleRecord[] =>
  readText(`examples/${name}`)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const FILES = [
  { name: 'mailbox.jsonl', source: 'mail.sent', count: 60 },
  { name: 'contacts.jsonl', source: 'contacts', count: 12 },
  { name: 'notes.jsonl', source: 'notes', count: 10 },
] as const;
const mails = readRecords('mailbox.jsonl').map(({ data }) => data as unknown as Mail);

describe.each(FILES)('examples/$name', ({ name, source, count }) => {
  const records = readRecords(name);

  test(`holds ${count} records of ${source}, each with its own id`, () => {
    expect(records).toHaveLength(count);
    expect(new Set(records.map(({ recordId }) => recordId)).size).toBe(count);
    expect(new Set(records.map((record) => record.source))).toEqual(new Set([source]));
  });

  test('fits the JSON schema of its source', () => {
    const validate = new Ajv().compile(JSON.parse(readText(`modes/sources/${source}.json`)));
    for (const { data, recordId } of records) {
      validate(data);
      expect({ recordId, errors: validate.errors }).toEqual({ recordId, errors: null });
    }
  });

  test('is in order of time', () => {
    const times = records.map(({ occurredAt }) => new Date(occurredAt).toISOString());
    expect(times).toEqual([...times].sort());
  });

  test('has only addresses that belong to nobody', () => {
    for (const [, domain] of readText(`examples/${name}`).matchAll(/@([\w.-]+)/g)) {
      expect(domain).toMatch(/(^|\.)example\.(org|com|net)$/);
    }
  });
});

describe('the sample mailbox', () => {
  test('has subject lines of one habit: topic -> what to do, when', () => {
    const habit =
      /^[a-z' ]+ -> [a-z0-9' ]+, (mon|tue|wed|thu|fri|sat|sun|today|tonight|tomorrow|no rush|fyi)$/;
    for (const { subject } of mails) expect(subject).toMatch(habit);
  });

  test('has subject lines that follow from the body: every topic is named in it', () => {
    for (const { subject, body } of mails) {
      const topic = subject.slice(0, subject.indexOf(' ->'));
      for (const word of topic.split(' ')) expect(body.toLowerCase()).toContain(word);
    }
  });

  test('has short bodies, all signed by the same person', () => {
    for (const { body } of mails) {
      const wordCount = body.split(/\s+/).length;
      expect(wordCount).toBeGreaterThanOrEqual(25);
      expect(wordCount).toBeLessThanOrEqual(70);
      expect(body).toMatch(/\nImke$/);
    }
  });

  test('is to a third replies, each to the one who wrote', () => {
    const replies = mails.filter(({ inReplyTo }) => inReplyTo);
    expect(replies).toHaveLength(20);
    for (const { to, inReplyTo } of replies) expect(to).toEqual([inReplyTo?.from]);
  });

  test('is with people who are in the contacts', () => {
    const known = readRecords('contacts.jsonl').map(({ data }) => data.email);
    for (const { to } of mails) expect(known).toEqual(expect.arrayContaining([...to]));
  });
});
