// The smallest tokenizer there can be: a token per byte, and two control tokens.

import type { Json } from '../../../src/lib/canonical-json.ts';
import { BYTE_CHARACTERS } from '../../../src/model/tokenizer/byte-level.ts';
import {
  parseTokenizerJson,
  type TokenizerJson,
} from '../../../src/model/tokenizer/tokenizer-json.ts';

/** Ids 0 and 1 open and end a turn, id 2 + n is byte n. */
export function byteTokenizer(): TokenizerJson {
  const control = ['<|im_start|>', '<|im_end|>'].map((content, id) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const bytes = BYTE_CHARACTERS.map((character, byte) => [character, byte + 2]);
  const json: Json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: control,
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(bytes),
      merges: [],
    },
  };
  return parseTokenizerJson(json, 'byte tokenizer');
}

/** A chat in which each turn stands between the two control tokens. */
export const BYTE_TOKENIZER_CONFIG: { readonly [key: string]: Json } = {
  chat_template:
    '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}',
};
