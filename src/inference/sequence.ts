// One request's state while it runs: how much of it is in the cache, what was written so far, and when it ends.
// It knows nothing of batches or memory.

import type { Tokenizer, TokenStream } from '../model/tokenizer.ts';
import type { AdapterImage } from './adapter-image.ts';
import type { EngineRequest } from './engine-protocol.ts';
import { type Sampling, sampleToken } from './sampler.ts';
import { cutAtStop } from './stop-strings.ts';

/** Prompts are read in chunks of this many tokens: running rows wait for one chunk at most. Where chunks begin depends
 *  on the prompt alone, since other borders would round differently. */
const CHUNK_TOKENS = 64;

/** What one more token brought. */
export interface SequenceStep {
  readonly text: string;
  readonly finishReason: 'STOP' | 'LENGTH' | null;
}

/** What a sequence is made from. */
export interface SequenceOptions {
  readonly request: EngineRequest;
  readonly adapter: AdapterImage;
  readonly tokenizer: Pick<Tokenizer, 'eosTokenIds' | 'stream'>;
  /** Tokens that it may write. */
  readonly maxTokens: number;
  /** Used where the request has no seed. */
  readonly randomSeed: number;
}

/** A request that is being answered. */
export class Sequence {
  readonly adapter: AdapterImage;
  readonly #options: SequenceOptions;
  readonly #sampling: Sampling;
  readonly #stream: TokenStream;
  #past = 0;
  #lastToken: number | null = null;
  #tokenCount = 0;
  #held = '';

  constructor(options: SequenceOptions) {
    const { request, tokenizer, randomSeed } = options;
    const { temperature, topP, seed } = request;
    this.adapter = options.adapter;
    this.#options = options;
    this.#sampling = { temperature, topP, seed: seed ?? randomSeed };
    this.#stream = tokenizer.stream();
  }

  /** Positions that are in the cache. */
  get past(): number {
    return this.#past;
  }

  /** Tokens written so far. */
  get tokenCount(): number {
    return this.#tokenCount;
  }

  /** The tokens to run next: a chunk of the prompt, or the token written last. */
  nextIds(): readonly number[] {
    if (this.#lastToken !== null) return [this.#lastToken];
    return this.#options.request.promptIds.slice(this.#past, this.#past + CHUNK_TOKENS);
  }

  /** Whether the next run's logits choose a token: it ends the prompt, or the prompt is behind it. */
  get isNextChosen(): boolean {
    return this.#past + this.nextIds().length >= this.#options.request.promptIds.length;
  }

  /** Notes that `nextIds` are in the cache. */
  advance(): void {
    this.#past += this.nextIds().length;
  }

  /** Chooses the next token from the logits behind what is in the cache.   logits f32[V] */
  choose(logits: Float32Array): SequenceStep {
    const token = sampleToken(logits, this.#sampling, this.#tokenCount);
    this.#lastToken = token;
    this.#tokenCount += 1;
    const isEnd = this.#options.tokenizer.eosTokenIds.includes(token);
    const isFull = this.#tokenCount >= this.#options.maxTokens;
    const shown = this.#show(isEnd ? '' : this.#stream.push(token));
    if (shown.stopped) return { text: shown.text, finishReason: 'STOP' };
    if (!isEnd && !isFull) return { text: shown.text, finishReason: null };
    const rest = this.#show(this.#stream.end());
    const finishReason = isEnd || rest.stopped ? 'STOP' : 'LENGTH';
    return { text: shown.text + rest.text + this.#held, finishReason };
  }

  #show(piece: string) {
    const result = cutAtStop(this.#held, piece, this.#options.request.stop);
    this.#held = result.held;
    return result;
  }
}
