import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/lib/canonical-json.ts';
import { loadCatalog } from '../../src/modes/catalog.ts';

const MODES = fileURLToPath(new URL('../../modes', import.meta.url));

describe('validateRecord', () => {
  const mail = { to: ['a@example.org'], subject: 's', body: 'b' };
  it.each<[source: string, data: Json, reason: string | null]>([
    ['mail.sent', mail, null],
    ['mail.sent', { ...mail, inReplyTo: { from: 'f', subject: 's', body: 'b' } }, null],
    ['mail.sent', { ...mail, to: 'a@example.org' }, 'data.to must be array'],
    ['mail.sent', { ...mail, to: [1] }, 'data.to[0] must be string'],
    ['mail.sent', { subject: 's', body: 'b' }, 'data.to is missing'],
    [
      'mail.sent',
      { ...mail, inReplyTo: { from: 'f', subject: 's' } },
      'data.inReplyTo.body is missing',
    ],
    ['mail.sent', { ...mail, cc: [] }, 'data.cc is unknown'],
    ['mail.sent', { ...mail, body: 'a\u0000b' }, 'data.body must not hold the character U+0000'],
    ['mail.sent', { ...mail, body: '\ud800' }, 'data.body must not hold half of a surrogate pair'],
    ['mail.sent', { ...mail, body: '\u{1f600}' }, null],
    [
      'mail.sent',
      { ...mail, body: 'x'.repeat(200_001) },
      'data.body must not have more than 200000 characters',
    ],
    ['mail.sent', 'text', 'data must be object'],
    ['contacts', { name: 'A' }, 'data.email is missing'],
    ['notes', { text: 7 }, 'data.text must be string'],
    ['notes', null, 'data must be object'],
    ['calendar', {}, 'no source "calendar"; known sources: contacts, mail.sent, notes'],
  ])('judges a record of %s by its schema (case %$)', async (source, data, reason) => {
    const catalog = await loadCatalog(MODES);
    expect(catalog.validateRecord(source, data)).toBe(reason);
  });
});
