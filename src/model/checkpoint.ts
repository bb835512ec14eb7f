// A Llama checkpoint in one form, whatever file it comes from. Made by gguf-checkpoint.ts and hf-checkpoint.ts.

import type { Json } from '../lib/canonical-json.ts';
import type { LlamaConfig } from './llama-config.ts';
import type { TokenizerJson } from './tokenizer/tokenizer-json.ts';

/** A model as it was published: its shape, its numbers and its tokenizer. */
export interface LlamaCheckpoint {
  readonly name: string;
  readonly config: LlamaConfig;
  readonly tokenizerJson: TokenizerJson;
  readonly tokenizerConfig: { readonly [key: string]: Json };
  /** One of the tensors that `llamaTensors(config)` lists, read from the file at each call: f32, matrices [out, in], rows of
   *  q and k in Hugging Face's order. Throws BAD_INPUT naming file and tensor. */
  tensor(name: string): Float32Array;
}
