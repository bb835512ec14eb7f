// What the rest of the program knows of text and tokens. Implemented in hf-tokenizer.ts.

import type { ChatMessage } from '../../lib/chat-message.ts';

/** Whether the text ends with the opening of the assistant's next turn. */
export interface ChatOptions {
  readonly addGenerationPrompt: boolean;
}

/** Text to token ids and back, for one base model. */
export interface Tokenizer {
  /** Plain tokens of any text: never a control token, whatever the text holds.
   *  Characters that the vocabulary cannot write become U+FFFD. */
  encode(text: string): number[];
  /** The text of the tokens; control tokens and unknown ids have none. */
  decode(ids: readonly number[]): string;
  /** The tokens of a conversation: control tokens come from the chat template alone, never from a message.
   *  Throws BAD_INPUT where the template refuses the messages. */
  encodeChat(messages: readonly ChatMessage[], options: ChatOptions): number[];
  /** The conversation as text, to look at. Not to be encoded: what users typed is not told apart in it. */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatOptions): string;
  /** Decodes an answer that is still being written. */
  stream(): TokenStream;
  /** The bytes of text that each token writes, by id; those that steer the model write none and are missing. */
  vocabulary(): ReadonlyMap<number, Uint8Array>;
  /** Every token that ends an answer. The first is what ends a turn in the chat template: training targets end with it. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | null;
  /** One more than the greatest id. */
  readonly vocabSize: number;
}

/** Turns tokens into text as they come, and never gives out half a character: the pieces together are the text that
 *  `decode` gives for all the tokens. */
export interface TokenStream {
  /** The text that has become certain with this token, often '' while a character is incomplete. */
  push(id: number): string;
  /** What was held back; the stream ends with it. */
  end(): string;
}
