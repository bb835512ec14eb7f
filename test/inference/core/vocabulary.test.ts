import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Vocabulary } from '../../../src/inference/core/vocabulary.ts';
import { parseTokenizerJson, tokenBytes } from '../../../src/model/tokenizer/tokenizer-json.ts';
import { type OutputState, outputStart } from '../../../src/modes/output-states.ts';
import { readOutputShape } from '../../../src/modes/read-output-shape.ts';

const shape = readOutputShape({
  type: 'object',
  properties: {
    title: { type: 'string', maxLength: 6 },
    kind: { enum: ['a', 'ab', 'é'] },
    many: { type: 'array', items: { type: 'integer', minimum: -5, maximum: 120 } },
  },
  required: ['title'],
  additionalProperties: false,
});
const encoder = new TextEncoder();
const SINGLE = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));

function after(bytes: Iterable<number>): OutputState | null {
  let state: OutputState | null = outputStart(shape);
  for (const byte of bytes) state = state?.step(byte) ?? null;
  return state;
}

/** Tokens of all kinds: pieces of answers, and random bytes. */
const ANSWERS = [
  '{"title":"x","kind":"ab","many":[1,-5,120]}',
  '{"title":"é\\n😀 b","kind":"é"}',
  '{"title":"      ","many":[]}',
];
const piece = fc
  .tuple(fc.constantFrom(...ANSWERS), fc.nat(40), fc.integer({ min: 1, max: 9 }))
  .map(([answer, start, length]) => encoder.encode(answer).slice(start, start + length));
const tokens = fc.array(fc.oneof(piece, fc.uint8Array({ minLength: 1, maxLength: 3 })), {
  maxLength: 60,
});

test('allows the tokens whose bytes all lead on, at every place of an answer', () => {
  const place = fc.tuple(fc.constantFrom(...ANSWERS), fc.nat(60));
  fc.assert(
    fc.property(tokens, place, (more, [answer, length]) => {
      const all = [...SINGLE, ...more.filter((bytes) => bytes.length > 0)];
      const vocabulary = new Vocabulary(new Map(all.map((bytes, id) => [id, bytes])), all.length);
      const start = encoder.encode(answer).slice(0, length);
      const state = after(start);
      if (state === null) throw new Error(`${answer} is an answer`);
      const expected = all.map((bytes) => Number(after([...start, ...bytes]) !== null));
      expect([...vocabulary.allowedAt(state)]).toEqual(expected);
    }),
  );
});

test('refuses a base that could get stuck', () => {
  const lacking = SINGLE.filter(([byte]) => byte !== 0x22 && byte !== 0x9f);
  const bytes = new Map(lacking.map((one, id) => [id, one]));
  expect(() => new Vocabulary(bytes, 256)).toThrow('it has no token for the bytes 22 9f');
});

test('knows the bytes of the tiny base, of its text tokens alone', async () => {
  const url = new URL('../../../models/tiny/tokenizer.json', import.meta.url);
  const json = parseTokenizerJson(JSON.parse(await readFile(url, 'utf8')), 'tiny');
  const bytes = tokenBytes(json);
  const { vocab } = json.model;
  expect(bytes.get(vocab.Ġthe ?? -1)).toEqual(encoder.encode(' the'));
  const vocabulary = new Vocabulary(bytes, 1 + Math.max(...Object.values(vocab)));
  const allowed = vocabulary.allowedAt(outputStart(shape));
  expect(allowed[vocab['{'] ?? -1]).toBe(1);
  expect(allowed[vocab.a ?? -1]).toBe(0);
});

test('reads the bytes of SentencePiece vocabularies', () => {
  const json = parseTokenizerJson(
    {
      decoder: { type: 'ByteFallback' },
      added_tokens: [{ id: 3, content: '<|x|>' }],
      model: { type: 'BPE', vocab: { '<0xE2>': 0, '\u2581a': 1, é: 2 }, merges: [] },
    },
    'pieces',
  );
  expect([...tokenBytes(json)].map(([id, bytes]) => [id, [...bytes]])).toEqual([
    [0, [0xe2]],
    [1, [0x20, 0x61]],
    [2, [0xc3, 0xa9]],
    [3, [...encoder.encode('<|x|>')]],
  ]);
});
