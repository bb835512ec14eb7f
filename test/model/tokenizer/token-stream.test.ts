import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../src/lib/canonical-json.ts';
import { parseTokenizerJson } from '../../../src/model/tokenizer/tokenizer-json.ts';
import { tokenizerOf } from '../../support/model/sample-tokenizer.ts';

const tokenizer = tokenizerOf();

describe('a stream', () => {
  test('gives, piece by piece, the text that decode gives at once, and never half a character', () => {
    const ids = fc.oneof(
      fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 40 }),
      fc.string({ unit: 'grapheme', maxLength: 20 }).map((typed) => tokenizer.encode(typed)),
    );
    fc.assert(
      fc.property(ids, (tokens) => {
        const stream = tokenizer.stream();
        const pieces = tokens.map((id) => stream.push(id));
        expect([...pieces, stream.end()].join('')).toBe(tokenizer.decode(tokens));
        for (const piece of pieces) expect(piece.endsWith('\ufffd')).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  test('holds a character back until its last byte has come', () => {
    const bytes = tokenizer.encode('é🙂');
    expect(bytes).toHaveLength(6);
    const stream = tokenizer.stream();
    expect(bytes.map((id) => stream.push(id))).toEqual(['', 'é', '', '', '', '🙂']);
    expect(stream.end()).toBe('');
  });

  test('gives out an incomplete character as U+FFFD at the end', () => {
    const stream = tokenizer.stream();
    stream.push(tokenizer.encode('é')[0] ?? -1);
    expect(stream.end()).toBe('\ufffd');
  });

  test('treats the first word as any other with a tokenizer that marks words, as that of Llama 2', () => {
    const words = parseTokenizerJson(LLAMA2_LIKE, 'llama 2');
    const marked = tokenizerOf({}, words, [2]);
    const ids = marked.encode('hi hi 🙂hi');
    expect(marked.decode(ids)).toBe('hi hi 🙂hi');
    const stream = marked.stream();
    expect([...ids.map((id) => stream.push(id)), stream.end()].join('')).toBe('hi hi 🙂hi');
  });
});

/** SentencePiece in Hugging Face's terms: words marked with U+2581, unknown characters as bytes. */
const LLAMA2_LIKE: Json = {
  added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true })),
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    byte_fallback: true,
    vocab: {
      '<unk>': 0,
      '<s>': 1,
      '</s>': 2,
      ...Object.fromEntries(
        Array.from({ length: 256 }, (_, byte) => [
          `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
          byte + 3,
        ]),
      ),
      '▁': 259,
      h: 260,
      i: 261,
      hi: 262,
      '▁hi': 263,
    },
    merges: ['h i', '▁ hi'],
  },
};
