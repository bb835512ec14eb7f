// The tokenizer of a tokenizer.json, over Hugging Face's own implementation. That only ever sees plain text: the control
// tokens are taken out of it, so that no text can become one, and are put in by us where the chat template wrote them.

import { Tokenizer as PlainTokenizer } from '@huggingface/tokenizers';
import type { Json } from '../../lib/canonical-json.ts';
import { replaceUnwritable } from '../tokenizer/byte-level.ts';
import { type ChatTemplate, compileChatTemplate } from '../tokenizer/chat-template.ts';
import { ControlTokens } from '../tokenizer/control-tokens.ts';
import { openTokenStream } from '../tokenizer/token-stream.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  controlTokens,
  isByteLevel,
  type TokenizerJson,
  tokenBytes,
  tokenIds,
  withoutTokens,
} from '../tokenizer/tokenizer-json.ts';

/** What a tokenizer is made from: the two Hugging Face files, and the ids from the model's config. */
export interface TokenizerSource {
  readonly tokenizerJson: TokenizerJson;
  readonly tokenizerConfig: { readonly [key: string]: Json };
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /** Names the source in errors. */
  readonly label: string;
}

/** Makes the tokenizer. Throws BAD_INPUT when the chat template cannot write even a question and its answer. */
export function createTokenizer(source: TokenizerSource): Tokenizer {
  const { tokenizerJson, bosTokenId, eosTokenIds } = source;
  const extraIds = new Set([...eosTokenIds, ...(bosTokenId === null ? [] : [bosTokenId])]);
  const control = new ControlTokens(controlTokens(tokenizerJson, extraIds));
  const applyChatTemplate = compileChatTemplate(source.tokenizerConfig, source.label);
  const { encode, decode } = plainCoder(source, control);
  const plainJson = withoutTokens(tokenizerJson, control.tokens);

  const encodeChat: Tokenizer['encodeChat'] = (messages, options) => {
    const disguised = messages.map(({ role, content }) => ({
      role: control.disguise(role) as typeof role,
      content: control.disguise(content),
    }));
    const parts = control.split(applyChatTemplate(disguised, options));
    return parts.flatMap((part) => (typeof part === 'number' ? [part] : encode(part)));
  };
  const turnEnd = turnEndId(applyChatTemplate, control);
  return {
    encode,
    decode,
    encodeChat,
    applyChatTemplate,
    stream: () => openTokenStream(decode),
    vocabulary: () => tokenBytes(plainJson),
    bosTokenId,
    eosTokenIds: [...new Set([...(turnEnd === null ? [] : [turnEnd]), ...eosTokenIds])],
    vocabSize: [...tokenIds(tokenizerJson).values()].reduce((a, b) => Math.max(a, b), 0) + 1,
  };
}

/** Encodes and decodes text in which nothing is a control token. */
function plainCoder(
  { tokenizerJson, tokenizerConfig }: TokenizerSource,
  control: ControlTokens,
): Pick<Tokenizer, 'encode' | 'decode'> {
  const plainJson = withoutTokens(tokenizerJson, control.tokens);
  const plain = new PlainTokenizer(plainJson, tokenizerConfig);
  const vocab = tokenIds(plainJson);
  const known = new Set(vocab.values());
  const writable = isByteLevel(plainJson) ? replaceUnwritable(vocab) : (text: string) => text;
  return {
    encode: (text) => plain.encode(writable(text), { add_special_tokens: false }).ids,
    decode: (ids) => {
      const written = ids.filter((id) => known.has(id));
      if (written.length === 0) return '';
      // cleaning up would drop spaces that the model wrote
      return plain.decode(written, { clean_up_tokenization_spaces: false });
    },
  };
}

/** The control token that the template writes after what the assistant said, null where it writes none. */
function turnEndId(template: ChatTemplate, control: ControlTokens): number | null {
  const answer = 'an answer';
  const parts = control.split(
    template(
      [
        { role: 'user', content: 'a question' },
        { role: 'assistant', content: answer },
      ],
      { addGenerationPrompt: false },
    ),
  );
  const at = parts.findLastIndex((part) => typeof part === 'string' && part.includes(answer));
  return parts.slice(at + 1).find((part) => typeof part === 'number') ?? null;
}
