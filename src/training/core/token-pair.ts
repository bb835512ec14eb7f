// From a prompt and two answers to the rows that a preference step sees.

import type { ChatMessage } from '../../lib/chat-message.ts';
import type { Tokenizer } from '../../model/tokenizer/tokenizer.ts';
import type { TokenPair } from './preference-batch.ts';
import { type ExampleNote, tokenise } from './token-example.ts';

/** What a training set gives: a prompt and two answers to it, of which the first was liked better. */
export interface PromptAndPair {
  readonly messages: readonly ChatMessage[];
  readonly chosen: string;
  readonly rejected: string;
  readonly sha256: string;
}

/** Tokenises pairs, each answer as an example is; the result does not depend on the order they are given in.
 *  A pair of which one answer is dropped is dropped. */
export function tokenisePairs(
  pairs: readonly PromptAndPair[],
  tokenizer: Tokenizer,
  maxTokens: number,
): { readonly pairs: readonly TokenPair[]; readonly notes: readonly ExampleNote[] } {
  const rows = (side: 'chosen' | 'rejected') =>
    tokenise(
      pairs.map((pair) => ({
        messages: pair.messages,
        target: pair[side],
        sha256: `${pair.sha256}:${side}`,
      })),
      tokenizer,
      maxTokens,
    );
  const [chosen, rejected] = [rows('chosen'), rows('rejected')];
  const rejectedRows = new Map(rejected.examples.map((row) => [row.sha256, row]));
  return {
    pairs: chosen.examples.flatMap((row) => {
      const sha256 = row.sha256.replace(/:chosen$/, '');
      const other = rejectedRows.get(`${sha256}:rejected`);
      return other === undefined ? [] : [{ sha256, chosen: row, rejected: other }];
    }),
    notes: [...chosen.notes, ...rejected.notes],
  };
}
