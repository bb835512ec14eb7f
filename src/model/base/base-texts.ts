import type { Json } from '../../lib/canonical-json.ts';
import { parseHfConfig } from '../hf/hf-config.ts';
import { createTokenizer } from '../hf/hf-tokenizer.ts';
import type { LlamaConfig } from '../llama-config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { parseTokenizerJson } from '../tokenizer/tokenizer-json.ts';

/** Texts of a base's files of these names, as a device has them. */
export interface BaseTexts {
  readonly config: string;
  readonly tokenizer: string;
  readonly tokenizerConfig: string;
}

/** Reads them. Throws BAD_INPUT for files that are none of a base. */
export function parseBaseTexts(texts: BaseTexts): { config: LlamaConfig; tokenizer: Tokenizer } {
  const config = parseHfConfig(JSON.parse(texts.config) as Json, null, 'config.json');
  const { bosTokenId, eosTokenIds } = config;
  const label = 'tokenizer.json';
  const tokenizer = createTokenizer({
    ...{ bosTokenId, eosTokenIds, label },
    tokenizerJson: parseTokenizerJson(JSON.parse(texts.tokenizer) as Json, label),
    tokenizerConfig: JSON.parse(texts.tokenizerConfig) as { readonly [key: string]: Json },
  });
  return { config, tokenizer };
}
