import fc from 'fast-check';
import type { Json } from '../../../src/lib/canonical-json.ts';
import { createTokenizer } from '../../../src/model/hf/hf-tokenizer.ts';
import type { Tokenizer } from '../../../src/model/tokenizer/tokenizer.ts';
import type { TokenizerJson } from '../../../src/model/tokenizer/tokenizer-json.ts';
import { CHAT_TEMPLATE, SAMPLE_TOKENIZER } from './sample-checkpoint.ts';

const SPECIALS = SAMPLE_TOKENIZER.added_tokens.map(({ content }) => content);
const CONTROL_IDS = new Set(SAMPLE_TOKENIZER.added_tokens.map(({ id }) => id));

/** The control tokens of the sample tokenizer. */
export const [END_OF_TEXT, START, END] = [0, 1, 2] as const;

/** The sample tokenizer, with another template, vocabulary or end tokens. */
export function tokenizerOf(
  config: { [key: string]: Json } = { chat_template: CHAT_TEMPLATE },
  json: TokenizerJson = SAMPLE_TOKENIZER,
  eosTokenIds: readonly number[] = [END],
): Tokenizer {
  return createTokenizer({
    tokenizerJson: json,
    tokenizerConfig: config,
    bosTokenId: START,
    eosTokenIds,
    label: 'sample',
  });
}

/** The control tokens among the ids, in order. */
export function controls(ids: readonly number[]): number[] {
  return ids.filter((id) => CONTROL_IDS.has(id));
}

const PIECES = [
  '<',
  '|',
  '>',
  '<|',
  '|>',
  'im_start',
  'im_',
  'end',
  '\n',
  ' ',
  '\ufdd0',
  'user',
  'hello',
  '7',
];

/** Any text, and much text made of control tokens, their parts and white space. */
export const typedText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc
    .array(fc.constantFrom(...SPECIALS, ...PIECES), { maxLength: 12 })
    .map((parts) => parts.join('')),
);
