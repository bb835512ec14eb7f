// The tokenizer inside a GGUF file, as the tokenizer.json and tokenizer_config.json it was made from.

import type { Json } from '../../lib/canonical-json.ts';
import type { LlamaCheckpoint } from '../checkpoint.ts';
import type { TokenizerJson } from '../tokenizer/tokenizer-json.ts';
import type { GgufMetadata } from './gguf-metadata.ts';

/** GGUF's token types (llama.h) that are more than plain text. */
const CONTROL = 3;
const USER_DEFINED = 4;

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
// Patterns rather than tokenizers' ready-made steps of the same meaning: its JavaScript translates patterns exactly, while
// its own digits are only 0-9 and its own white space differs from Unicode's in U+0085 and U+FEFF.
const EACH_NUMBER = isolated('\\p{N}');
const GPT2_WORD = isolated(
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
);
/** Numbers in groups of three, line breaks at the end of what is before them. */
const LLAMA3_WORD = isolated(
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
);

function isolated(pattern: string) {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

interface PreTokenizer {
  readonly steps: readonly Json[];
  /** A word that is a token is taken whole, even where its merges would not lead to it. */
  readonly ignoreMerges: boolean;
}

/** How text is cut into words before merging, by the name that GGUF gives it. */
const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ['gpt-2', { steps: [GPT2_WORD], ignoreMerges: false }],
  ['smollm', { steps: [EACH_NUMBER, GPT2_WORD], ignoreMerges: false }],
  ['llama-bpe', { steps: [LLAMA3_WORD], ignoreMerges: true }],
]);

/** Reads the tokenizer from the metadata. Throws BAD_INPUT for one that we could not reproduce exactly. */
export function ggufTokenizer(
  metadata: GgufMetadata,
): Pick<LlamaCheckpoint, 'tokenizerJson' | 'tokenizerConfig'> {
  if (metadata.string('tokenizer.ggml.model') !== 'gpt2')
    metadata.refuse('tokenizer.ggml.model', 'gpt2: take the safetensors version of this model');
  const tokens = metadata.strings('tokenizer.ggml.tokens');
  const tokenizerJson = {
    version: '1.0',
    added_tokens: addedTokens(metadata, tokens),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [...preTokenizer(metadata).steps, { ...BYTE_LEVEL, use_regex: false }],
    },
    post_processor: null,
    decoder: { ...BYTE_LEVEL, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      ignore_merges: preTokenizer(metadata).ignoreMerges,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: metadata.strings('tokenizer.ggml.merges'),
    },
  };
  return { tokenizerJson, tokenizerConfig: tokenizerConfig(metadata, tokens) };
}

function preTokenizer(metadata: GgufMetadata): PreTokenizer {
  const known = [...PRE_TOKENIZERS.keys()].join(', ');
  const found = PRE_TOKENIZERS.get(metadata.string('tokenizer.ggml.pre'));
  return found ?? metadata.refuse('tokenizer.ggml.pre', `one of ${known}`);
}

function addedTokens(
  metadata: GgufMetadata,
  tokens: readonly string[],
): TokenizerJson['added_tokens'] {
  const types = metadata.numbers('tokenizer.ggml.token_type');
  if (types.length !== tokens.length)
    metadata.refuse('tokenizer.ggml.token_type', `${tokens.length} numbers, one for each token`);
  const repeated = tokens.length - new Set(tokens).size;
  if (repeated > 0)
    metadata.refuse('tokenizer.ggml.tokens', `${repeated} fewer: tokens are repeated`);
  return tokens.flatMap((content, id) => {
    const isAdded = types[id] === CONTROL || types[id] === USER_DEFINED;
    if (!isAdded) return [];
    const special = types[id] === CONTROL;
    return [
      { id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: false },
    ];
  });
}

function tokenizerConfig(
  metadata: GgufMetadata,
  tokens: readonly string[],
): LlamaCheckpoint['tokenizerConfig'] {
  const tokenText = (kind: string) => {
    const key = `tokenizer.ggml.${kind}_token_id`;
    return metadata.has(key) ? (tokens[metadata.number(key)] ?? null) : null;
  };
  const template = metadata.has('tokenizer.chat_template')
    ? metadata.string('tokenizer.chat_template')
    : null;
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    bos_token: tokenText('bos'),
    eos_token: tokenText('eos'),
    chat_template: template,
  };
}
