// From an answer with a lone thumb to the row that a preference step sees, and to the answers that say how far the model
// has moved as a whole.

import type { ChatMessage } from '../../lib/chat-message.ts';
import type { Tokenizer } from '../../model/tokenizer/tokenizer.ts';
import type { TokenPair } from './preference-batch.ts';
import { type ExampleNote, type TokenExample, tokenise } from './token-example.ts';

/** What a training set gives: a prompt and an answer to it that was liked or disliked, with nothing to compare it to. */
export interface PromptAndThumb {
  readonly messages: readonly ChatMessage[];
  readonly answer: string;
  readonly isGood: boolean;
  readonly sha256: string;
}

/** An answer with a thumb, as tokens. */
export interface TokenThumb {
  readonly sha256: string;
  readonly isGood: boolean;
  readonly answer: TokenExample;
}

/** Tokenises answers as examples are; the result does not depend on the order they are given in. */
export function tokeniseThumbs(
  thumbs: readonly PromptAndThumb[],
  tokenizer: Tokenizer,
  maxTokens: number,
): { readonly thumbs: readonly TokenThumb[]; readonly notes: readonly ExampleNote[] } {
  const isGood = new Map(thumbs.map((thumb) => [thumb.sha256, thumb.isGood]));
  const rows = thumbs.map(({ messages, answer, sha256 }) => ({ messages, target: answer, sha256 }));
  const { examples, notes } = tokenise(rows, tokenizer, maxTokens);
  return {
    thumbs: examples.map((answer) => ({
      sha256: answer.sha256,
      isGood: isGood.get(answer.sha256) ?? false,
      answer,
    })),
    notes,
  };
}

/** Each thumb's prompt with the answer of the next one, the last one's with the first's: answers that belong to other
 *  prompts. Their mean log ratio to the reference estimates how far the model is from it (Ethayarajh et al.,
 *  "KTO: Model alignment as prospect theoretic optimization", section 4.1). None for a single thumb. */
export function mismatchedAnswers(
  thumbs: readonly TokenThumb[],
  maxTokens: number,
): ReadonlyMap<TokenThumb, TokenExample> {
  if (thumbs.length < 2) return new Map();
  return new Map(
    thumbs.map((thumb, i) => {
      const { ids, promptLength } = thumb.answer;
      const other = (thumbs[(i + 1) % thumbs.length] ?? thumb).answer;
      const prompt = ids.slice(0, promptLength);
      const mixed = [...prompt, ...other.ids.slice(other.promptLength)].slice(0, maxTokens);
      return [thumb, { sha256: `${thumb.sha256}:mismatched`, ids: mixed, promptLength }];
    }),
  );
}

/** Pairs of unlike prompts: the k-th good answer and the k-th bad one, as many as there are of both. A model that has merely
 *  become surer or less sure of everything gets half of them right, which no judgement of single answers could promise. */
export function matchThumbs(thumbs: readonly TokenThumb[]): readonly TokenPair[] {
  const bad = thumbs.filter(({ isGood }) => !isGood);
  return thumbs
    .filter(({ isGood }) => isGood)
    .slice(0, bad.length)
    .flatMap((good, k) => {
      const other = bad[k];
      if (other === undefined) return [];
      return [
        { sha256: `${good.sha256}:${other.sha256}`, chosen: good.answer, rejected: other.answer },
      ];
    });
}
