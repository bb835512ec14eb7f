import { expect, test } from 'vitest';
import { Sequence } from '../../../src/inference/core/sequence.ts';
import type { EngineRequest } from '../../../src/inference/engine-protocol.ts';
import { createTokenizer } from '../../../src/model/hf/hf-tokenizer.ts';
import { BYTE_TOKENIZER_CONFIG, byteTokenizer } from '../../support/model/byte-tokenizer.ts';

const END = 1;
const tokenizer = createTokenizer({
  tokenizerJson: byteTokenizer(),
  tokenizerConfig: BYTE_TOKENIZER_CONFIG,
  bosTokenId: null,
  eosTokenIds: [END],
  label: 'byte tokenizer',
});

function sequence(request: Partial<EngineRequest> = {}, maxTokens = 100): Sequence {
  return new Sequence({
    request: {
      promptIds: [5],
      adapter: null,
      maxTokens,
      temperature: 0,
      topP: 1,
      seed: null,
      stop: [],
      userId: 'u',
      ...request,
    },
    adapter: { rank: 8, arrays: [], sizeBytes: 0, feeds: {} },
    tokenizer,
    maxTokens,
    randomSeed: 1,
  });
}

/** Has the sequence write these tokens; what it gives for each. */
function write(one: Sequence, ids: readonly number[]) {
  const steps = ids.map((id) => one.choose(new Float32Array(300).fill(0).with(id, 1)));
  return { texts: steps.map(({ text }) => text), finishReason: steps.at(-1)?.finishReason };
}

const bytesOf = (text: string) => [...Buffer.from(text)].map((byte) => byte + 2);

test('a prompt is read in chunks whose borders depend on the prompt alone', () => {
  const one = sequence({ promptIds: Array.from({ length: 130 }, (_, i) => i) });
  const chunks: number[] = [];
  while (one.past < 130) {
    expect(one.isNextChosen).toBe(one.past === 128);
    chunks.push(one.nextIds().length);
    one.advance();
  }
  expect(chunks).toEqual([64, 64, 2]);
});

test('behind the prompt the token written last is run, one at a time', () => {
  const one = sequence({ promptIds: [5, 6] });
  one.advance();
  write(one, [42]);
  expect(one.nextIds()).toEqual([42]);
  expect(one.isNextChosen).toBe(true);
  one.advance();
  expect(one.past).toBe(3);
});

test('an end token ends the answer and has no text', () => {
  expect(write(sequence(), [...bytesOf('ok'), END])).toEqual({
    texts: ['o', 'k', ''],
    finishReason: 'STOP',
  });
});

test('a character of several bytes comes whole', () => {
  expect(write(sequence(), bytesOf('é€😀')).texts).toEqual([
    '',
    'é',
    '',
    '',
    '€',
    '',
    '',
    '',
    '😀',
  ]);
});

test('an answer of the longest allowed length ends, with all of its text', () => {
  const one = sequence({ stop: ['b?'] }, 2);
  expect(write(one, bytesOf('ab'))).toEqual({ texts: ['a', 'b'], finishReason: 'LENGTH' });
  expect(one.tokenCount).toBe(2);
});

test('a character cut off by the length shows as what it is', () => {
  expect(write(sequence({}, 1), bytesOf('é').slice(0, 1)).texts).toEqual(['\ufffd']);
});

test('a stop string ends the answer before it', () => {
  expect(write(sequence({ stop: ['\n\n'] }), bytesOf('a\nb\n\n'))).toEqual({
    texts: ['a', '', '\nb', '', ''],
    finishReason: 'STOP',
  });
});

test('what only began a stop string is shown at the end', () => {
  expect(write(sequence({ stop: ['END'] }), [...bytesOf('EN'), END])).toEqual({
    texts: ['', '', 'EN'],
    finishReason: 'STOP',
  });
});

test('a stop string that the last held bytes complete still counts', () => {
  const one = sequence({ stop: ['x\ufffd'] }, 2);
  expect(write(one, [...bytesOf('x'), ...bytesOf('é').slice(0, 1)])).toEqual({
    texts: ['', ''],
    finishReason: 'STOP',
  });
});
