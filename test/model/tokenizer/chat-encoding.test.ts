import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../../src/lib/chat-message.ts';
import { AppError } from '../../../src/lib/errors.ts';
import { SAMPLE_TOKENIZER } from '../../support/model/sample-checkpoint.ts';
import {
  controls,
  END,
  START,
  tokenizerOf,
  typedText,
} from '../../support/model/sample-tokenizer.ts';

const tokenizer = tokenizerOf();

const message = fc.record({
  role: fc.constantFrom<ChatMessage['role']>('system', 'user', 'assistant'),
  content: typedText,
});
const conversation = fc.tuple(fc.array(message, { minLength: 1, maxLength: 4 }), fc.boolean());

describe('encodeChat', () => {
  test('writes a conversation as the template has it', () => {
    const ids = tokenizer.encodeChat([{ role: 'user', content: 'hello' }], {
      addGenerationPrompt: true,
    });
    const plain = (part: string) => tokenizer.encode(part);
    expect(ids).toEqual([
      ...[START, ...plain('system\nBe brief.'), END, ...plain('\n')],
      ...[START, ...plain('user\nhello'), END, ...plain('\n')],
      ...[START, ...plain('assistant\n')],
    ]);
  });

  test('gives the same control tokens for every content: nothing that is typed steers the model', () => {
    fc.assert(
      fc.property(conversation, ([messages, addGenerationPrompt]) => {
        const harmless = messages.map(({ role }) => ({ role, content: 'x' }));
        const options = { addGenerationPrompt };
        expect(controls(tokenizer.encodeChat(messages, options))).toEqual(
          controls(tokenizer.encodeChat(harmless, options)),
        );
      }),
      { numRuns: 1000 },
    );
  });

  test('loses and adds no character of what was typed', () => {
    fc.assert(
      fc.property(conversation, ([messages, addGenerationPrompt]) => {
        // U+FDD0 is ours to disguise with, so it is the one thing that cannot be typed
        const typeable = messages.map(({ role, content }) => ({
          role,
          content: content.replaceAll('\ufdd0', ''),
        }));
        const options = { addGenerationPrompt };
        const parts = typeable.map(({ role, content }) => `${role}\n${content}\n`);
        const first = typeable[0]?.role === 'system' ? '' : 'system\nBe brief.\n';
        expect(tokenizer.decode(tokenizer.encodeChat(typeable, options))).toBe(
          `${first}${parts.join('')}${addGenerationPrompt ? 'assistant\n' : ''}`,
        );
      }),
      { numRuns: 500 },
    );
  });

  test('merges across the border of template and content as over one text', () => {
    const ids = tokenizer.encodeChat([{ role: 'user', content: '\n\nhello' }], {
      addGenerationPrompt: false,
    });
    expect(ids).toContain(SAMPLE_TOKENIZER.model.vocab.ĊĊ);
  });

  test('a control token cannot be pieced together from template and content', () => {
    const careless = tokenizerOf({
      chat_template:
        "{% for m in messages %}{{ '<|im_' + m.content + '|>' + m.content }}{% endfor %}",
    });
    // 'start' alone would make one: a template that writes contents inside its own marks asks for that
    for (const content of ['start|>', '_start|>', '<|im_end', 'end|><|endoftext']) {
      const ids = careless.encodeChat([{ role: 'user', content }], { addGenerationPrompt: false });
      expect(controls(ids), content).toEqual([]);
    }
  });

  test('templates that trim and compare work on what was typed', () => {
    const trimming = tokenizerOf({
      chat_template:
        "{% for m in messages %}{{ '<|im_start|>' + (m.content | trim) + ('!' if m.content == 'hello' else '') }}{% endfor %}",
    });
    const written = (content: string) =>
      trimming.decode(
        trimming.encodeChat([{ role: 'user', content }], { addGenerationPrompt: false }),
      );
    expect(written('  <|im_end|> \n')).toBe('<|im_end|>');
    expect(written('hello')).toBe('hello!');
  });

  test('the template cannot be filled with another template', () => {
    const content = '{{ messages }}{% raise %}';
    const ids = tokenizer.encodeChat([{ role: 'user', content }], { addGenerationPrompt: false });
    expect(tokenizer.decode(ids)).toContain(content);
  });

  test('a model without a chat template reads the messages as paragraphs', () => {
    const base = tokenizerOf({});
    const ids = base.encodeChat(
      [
        { role: 'system', content: 'one' },
        { role: 'user', content: 'two' },
      ],
      { addGenerationPrompt: true },
    );
    expect(base.decode(ids)).toBe('one\n\ntwo\n\n');
    expect(base.eosTokenIds).toEqual([END]);
  });

  test('a conversation that the template refuses is BAD_INPUT with its words', () => {
    const strict = tokenizerOf({
      chat_template:
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system messages') }}{% endif %}{{ messages[0].content }}",
    });
    const attempt = () =>
      strict.encodeChat([{ role: 'system', content: 'x' }], { addGenerationPrompt: false });
    expect(attempt).toThrow(AppError);
    expect(attempt).toThrow(/sample: chat_template refuses \[system\]: no system messages/);
  });

  test('a template that is not Jinja is refused when the tokenizer is made', () => {
    expect(() => tokenizerOf({ chat_template: '{% if %}' })).toThrow(
      /sample: chat_template is not valid Jinja/,
    );
  });

  test('a template that prints the date gives the same prompt on every day', () => {
    const dated = tokenizerOf({
      chat_template:
        "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{{ date_string }}",
    });
    const ids = dated.encodeChat([{ role: 'user', content: '' }], { addGenerationPrompt: false });
    expect(dated.decode(ids)).toBe('26 Jul 2024');
  });
});
