import { describe, expect, it } from 'vitest';
import { createTokenizer } from '../../../src/model/hf/hf-tokenizer.ts';
import { tokenise } from '../../../src/training/core/token-example.ts';
import { type PromptAndPair, tokenisePairs } from '../../../src/training/core/token-pair.ts';
import { BYTE_TOKENIZER_CONFIG, byteTokenizer } from '../../support/model/byte-tokenizer.ts';

const tokenizer = createTokenizer({
  tokenizerJson: byteTokenizer(),
  tokenizerConfig: BYTE_TOKENIZER_CONFIG,
  bosTokenId: null,
  eosTokenIds: [1],
  label: 'byte tokenizer',
});

function pair(sha256: string, chosen: string, rejected: string): PromptAndPair {
  return { messages: [{ role: 'user', content: 'hello' }], chosen, rejected, sha256 };
}

describe('tokenisePairs', () => {
  it('puts both answers after the same prompt, as an example has it', () => {
    const { pairs, notes } = tokenisePairs([pair('a', 'yes', 'no, never')], tokenizer, 200);
    const alone = (target: string, sha256: string) => {
      const { messages } = pair('a', '', '');
      return tokenise([{ messages, target, sha256 }], tokenizer, 200).examples[0];
    };
    expect(notes).toEqual([]);
    expect(pairs).toEqual([
      { sha256: 'a', chosen: alone('yes', 'a:chosen'), rejected: alone('no, never', 'a:rejected') },
    ]);
  });

  it('drops a pair of which one answer is empty, and cuts long ones, with a note', () => {
    const list = [
      pair('c', 'y'.repeat(1000), 'x'),
      pair('b', ' ', 'x'),
      pair('a', 'x', ''),
      pair('d', 'x', 'y'),
    ];
    const { pairs, notes } = tokenisePairs(list, tokenizer, 100);
    expect(pairs.map(({ sha256 }) => sha256)).toEqual(['c', 'd']);
    expect(notes.map(({ sha256, note }) => `${sha256} ${note.split(' ')[0]}`)).toEqual([
      'b:chosen dropped:',
      'c:chosen cut',
      'a:rejected dropped:',
    ]);
  });

  it('does not depend on the order that the pairs come in', () => {
    const list = [pair('a', 'x', 'y'), pair('b', 'v', 'w')];
    expect(tokenisePairs([...list].reverse(), tokenizer, 100)).toEqual(
      tokenisePairs(list, tokenizer, 100),
    );
  });
});
