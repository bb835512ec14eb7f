import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadCatalog } from '../../src/modes/catalog.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';
import { inputKey, lookupsOf, parseInput, renderPrompt } from '../../src/modes/prompt.ts';

let catalog: ModeCatalog;
beforeAll(async () => {
  catalog = await loadCatalog(fileURLToPath(new URL('../../modes', import.meta.url)));
});

const mail = { from: 'ann@example.org', subject: 'Tea', body: 'Come at four?' };

describe('parseInput', () => {
  it.each([
    ['subject', {}, 'mode "subject": input.body is missing'],
    ['subject', { body: 3 }, 'mode "subject": input.body must be string'],
    ['subject', { body: 'x', mood: 'good' }, 'mode "subject": input.mood is unknown'],
    ['subject', { body: ' \n' }, 'mode "subject": input.body must not be empty'],
    ['subject', [], 'mode "subject": input must be object'],
    ['reply', { ...mail, body: '\t' }, 'mode "reply": input.body must not be empty'],
    [
      'continue',
      { text: 'a\u0000' },
      'mode "continue": input.text must not hold the character U+0000',
    ],
  ])('refuses for %s the input %j, naming the field', (key, input, message) => {
    expect(() => parseInput(catalog.mode(key), input)).toThrow(
      expect.objectContaining({ code: 'BAD_INPUT', message }),
    );
  });

  it('hands back an input that fits, an empty subject too', () => {
    const input = { ...mail, subject: '' };
    expect(parseInput(catalog.mode('reply'), input)).toBe(input);
  });
});

describe('renderPrompt', () => {
  it('never reads the user text as a template', () => {
    const body = '{{ input }} {% for x in range(9) %}x{% endfor %} {# gone? #}';
    const [, user] = renderPrompt(catalog.mode('subject'), { body }, {});
    expect(user?.content).toContain(body);
  });

  it('shows what was looked up, and nothing in its place when nothing was found', () => {
    const contact = { name: 'Ann Lee', email: mail.from, relation: 'aunt' };
    const withContact = renderPrompt(catalog.mode('reply'), mail, { contact });
    const without = renderPrompt(catalog.mode('reply'), mail, {});
    expect(withContact.at(-1)?.content).toContain('From: Ann Lee\nRelation: aunt\nSubject: Tea');
    expect(without.at(-1)?.content).toContain('From: ann@example.org\nSubject: Tea');
  });
});

describe('lookupsOf', () => {
  it('looks a correspondent up whatever the case of the address', () => {
    const lookups = lookupsOf(catalog.mode('reply'), { ...mail, from: 'Ann@Example.ORG' });
    expect(lookups.map(({ rule, key }) => [rule.source, rule.field, key])).toEqual([
      ['contacts', 'email', 'ann@example.org'],
    ]);
  });
});

describe('inputKey', () => {
  it('is the same for inputs that differ in white space or the order of fields', () => {
    expect(inputKey({ subject: 's', body: 'a  b\n' })).toBe(
      inputKey({ body: 'a b', subject: 's' }),
    );
  });

  it('differs for inputs that differ in anything else', () => {
    expect(inputKey({ body: 'a b' })).not.toBe(inputKey({ body: 'ab' }));
  });
});
