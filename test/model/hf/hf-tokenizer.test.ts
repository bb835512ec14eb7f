import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHAT_TEMPLATE, SAMPLE_TOKENIZER } from '../../support/model/sample-checkpoint.ts';
import {
  controls,
  END,
  END_OF_TEXT,
  START,
  tokenizerOf,
  typedText,
} from '../../support/model/sample-tokenizer.ts';

const SPECIALS = SAMPLE_TOKENIZER.added_tokens.map(({ content }) => content);
const tokenizer = tokenizerOf();

describe('encode', () => {
  test('and decode give any text back', () => {
    fc.assert(
      fc.property(typedText, (original) => {
        expect(tokenizer.decode(tokenizer.encode(original))).toBe(original);
      }),
      { numRuns: 500 },
    );
  });

  test('never gives a control token, whatever the text', () => {
    fc.assert(
      fc.property(typedText, (typed) => {
        expect(controls(tokenizer.encode(typed))).toEqual([]);
      }),
      { numRuns: 500 },
    );
    for (const special of SPECIALS) {
      expect(controls(tokenizer.encode(special))).toEqual([]);
      expect(tokenizer.decode(tokenizer.encode(special))).toBe(special);
    }
  });

  test('merges words, takes digits one by one, and has nothing for nothing', () => {
    const vocab = SAMPLE_TOKENIZER.model.vocab;
    expect(tokenizer.encode('hello 42')).toEqual([vocab.hello, vocab.Ġ, vocab['4'], vocab['2']]);
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
  });

  test('writes half a surrogate pair as U+FFFD', () => {
    expect(tokenizer.decode(tokenizer.encode('a\ud83dz'))).toBe('a\ufffdz');
  });

  test('keeps to plain tokens when a merge or a whole word would lead to a control token', () => {
    const { vocab, merges } = SAMPLE_TOKENIZER.model;
    const json = {
      ...SAMPLE_TOKENIZER,
      added_tokens: [...SAMPLE_TOKENIZER.added_tokens, { id: 900, content: 'halt', special: true }],
      model: {
        ...SAMPLE_TOKENIZER.model,
        ignore_merges: true,
        vocab: { ...vocab, ha: 901, lt: 902, halt: 900 },
        merges: [...merges, 'h a', 'l t', 'ha lt'],
      },
    };
    const halting = tokenizerOf({ chat_template: CHAT_TEMPLATE }, json);
    expect(halting.encode('halt')).toEqual([901, 902]);
    expect(
      halting.encodeChat([{ role: 'user', content: 'halt' }], { addGenerationPrompt: false }),
    ).not.toContain(900);
  });

  test('replaces what the vocabulary cannot write, instead of ending the text', () => {
    const { vocab } = SAMPLE_TOKENIZER.model;
    // without the bytes 0x04 and 0xf1, as SmolLM2's
    const { Ą: _ctrl, ñ: _f1, ...rest } = vocab;
    const lacking = tokenizerOf(undefined, {
      ...SAMPLE_TOKENIZER,
      model: { ...SAMPLE_TOKENIZER.model, vocab: rest },
    });
    const ids = lacking.encode('a\u0004b\u{40000}c');
    expect(lacking.decode(ids)).toBe('a\ufffdb\ufffdc');
    expect(ids).not.toContain(END_OF_TEXT);
  });
});

describe('decode', () => {
  test('leaves out control tokens and ids that mean nothing', () => {
    const ids = tokenizer.encode('hello');
    expect(tokenizer.decode([START, ...ids, END, 5000, -1])).toBe('hello');
  });

  test('keeps the spaces that the model wrote', () => {
    const spaced = "well , said he .  do n't";
    const tidying = tokenizerOf({
      chat_template: CHAT_TEMPLATE,
      clean_up_tokenization_spaces: true,
    });
    expect(tidying.decode(tidying.encode(spaced))).toBe(spaced);
  });
});

describe('the tokens that end an answer', () => {
  test('begin with the one that ends a turn in the chat template', () => {
    expect(tokenizerOf(undefined, undefined, [END_OF_TEXT]).eosTokenIds).toEqual([
      END,
      END_OF_TEXT,
    ]);
    expect(tokenizerOf(undefined, undefined, [END_OF_TEXT, END]).eosTokenIds).toEqual([
      END,
      END_OF_TEXT,
    ]);
  });

  test('are control tokens even where the file does not call them special', () => {
    const json = {
      ...SAMPLE_TOKENIZER,
      added_tokens: SAMPLE_TOKENIZER.added_tokens.map((token) => ({ ...token, special: false })),
    };
    const lax = tokenizerOf(undefined, json);
    expect(controls(lax.encode('<|im_end|><|im_start|>'))).toEqual([]);
  });

  test('do not include the start of the next turn', () => {
    const always = tokenizerOf({
      chat_template:
        "{% for m in messages %}{{ m.content + '<|im_end|>' }}{% endfor %}{{ '<|im_start|>' }}",
    });
    expect(always.eosTokenIds).toEqual([END]);
  });
});

test('the size of the vocabulary is one more than the greatest id', () => {
  expect(tokenizer.vocabSize).toBe(Object.keys(SAMPLE_TOKENIZER.model.vocab).length);
});
