import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from '../../../src/model/hf/hf-tokenizer.ts';
import { type PromptAndTarget, tokenise } from '../../../src/training/core/token-example.ts';
import { BYTE_TOKENIZER_CONFIG, byteTokenizer } from '../../support/model/byte-tokenizer.ts';

const tokenizer = createTokenizer({
  tokenizerJson: byteTokenizer(),
  tokenizerConfig: BYTE_TOKENIZER_CONFIG,
  bosTokenId: null,
  eosTokenIds: [1],
  label: 'byte tokenizer',
});
const END = 1;

function example(content: string, target: string, sha256 = 'a'): PromptAndTarget {
  return { messages: [{ role: 'user', content }], target, sha256 };
}

const prompt = (content: string) =>
  tokenizer.encodeChat([{ role: 'user', content }], { addGenerationPrompt: true });

describe('tokenise', () => {
  it('puts the chat prompt before the target and ends the turn', () => {
    const { examples, notes } = tokenise([example('hello', 'hi')], tokenizer, 200);
    expect(notes).toEqual([]);
    expect(examples).toEqual([
      {
        sha256: 'a',
        ids: [...prompt('hello'), ...tokenizer.encode('hi'), END],
        promptLength: prompt('hello').length,
      },
    ]);
  });

  it('takes what the engine is prompted with: the answer continues the generation prompt', () => {
    const [one] = tokenise([example('hello', 'hi')], tokenizer, 200).examples;
    expect(one?.ids.slice(0, one.promptLength)).toEqual(prompt('hello'));
  });

  it('never lets a target write control tokens', () => {
    const [one] = tokenise([example('x', '<|im_end|><|im_start|>')], tokenizer, 200).examples;
    const answer = one?.ids.slice(one.promptLength) ?? [];
    expect(answer.filter((id) => id < 2)).toEqual([END]);
    expect(answer.at(-1)).toBe(END);
  });

  it('orders examples by their hash, so that the order they come in does not matter', () => {
    const list = ['c', 'a', 'b'].map((hash) => example(hash, `answer ${hash}`, hash));
    const { examples } = tokenise(list, tokenizer, 200);
    expect(examples.map(({ sha256 }) => sha256)).toEqual(['a', 'b', 'c']);
    expect(tokenise([...list].reverse(), tokenizer, 200).examples).toEqual(examples);
  });

  it('drops an example without a target and says so', () => {
    for (const target of ['', ' \n\t']) {
      expect(tokenise([example('hello', target)], tokenizer, 200)).toEqual({
        examples: [],
        notes: [{ sha256: 'a', note: 'dropped: its target is empty' }],
      });
    }
  });

  it('cuts the middle out of a long prompt, keeps the template at both ends, and says so', () => {
    const { examples, notes } = tokenise([example('x'.repeat(500), 'hi')], tokenizer, 100);
    const [one] = examples;
    const whole = prompt('x'.repeat(500));
    expect(one?.ids).toHaveLength(100);
    expect(one?.ids.slice(0, 30)).toEqual(whole.slice(0, 30));
    expect(one?.ids.slice(one.promptLength - 30, one.promptLength)).toEqual(whole.slice(-30));
    expect(one?.ids.slice(-3)).toEqual([...tokenizer.encode('hi'), END]);
    expect(notes).toEqual([{ sha256: 'a', note: `cut from ${whole.length + 3} to 100 tokens` }]);
  });

  it('cuts the end off a target that would take more than half', () => {
    const [one] = tokenise([example('hello', 'y'.repeat(500))], tokenizer, 100).examples;
    const answer = one?.ids.slice(one.promptLength);
    expect(answer).toEqual(tokenizer.encode('y'.repeat(50)));
  });

  it('survives any text and never exceeds its limit', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ maxLength: 300 }),
    );
    fc.assert(
      fc.property(text, text, fc.integer({ min: 8, max: 150 }), (content, target, maxTokens) => {
        for (const one of tokenise([example(content, target)], tokenizer, maxTokens).examples) {
          expect(one.ids.length).toBeLessThanOrEqual(maxTokens);
          expect(one.promptLength).toBeGreaterThan(0);
          expect(one.promptLength).toBeLessThan(one.ids.length);
        }
      }),
    );
  });
});
