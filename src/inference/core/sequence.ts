// One request's state while it runs: how much of it is in the cache, what was written so far, and when it ends.
// It knows nothing of batches or memory.

import type { Tokenizer, TokenStream } from '../../model/tokenizer/tokenizer.ts';
import type { AdapterImage } from './adapter-image.ts';
import type { Generation } from './generation.ts';
import { type TokenLogprob, tokenLogprob } from './logprobs.ts';
import type { OutputGuide } from './output-guide.ts';
import { guessNext, isClear } from './prompt-lookup.ts';
import { type Sampling, sampleToken } from './sampler.ts';
import { cutAtStop } from './stop-strings.ts';

/** Prompts are read in chunks of this many tokens: running rows wait for one chunk at most. Where chunks begin depends
 *  on the prompt alone, since other borders would round differently. */
const CHUNK_TOKENS = 64;

/** What one more token brought. */
export interface SequenceStep {
  readonly text: string;
  /** Null where it was not asked for. */
  readonly logprob: TokenLogprob | null;
  readonly finishReason: 'STOP' | 'LENGTH' | null;
}

/** What a sequence is made from. */
export interface SequenceOptions {
  readonly request: Generation;
  readonly adapter: AdapterImage;
  readonly tokenizer: Pick<Tokenizer, 'decode' | 'eosTokenIds' | 'stream'>;
  /** What keeps the answer to its shape, where it has one. */
  readonly guide?: OutputGuide | null;
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
  readonly #guide: OutputGuide | null;
  #past = 0;
  #lastToken: number | null = null;
  /** The prompt and what was written behind it. */
  readonly #tokens: number[];
  /** Whether the last guess ended before a choice that was too close a call. */
  #isClose = false;
  #tokenCount = 0;
  #held = '';

  constructor(options: SequenceOptions) {
    const { request, tokenizer, guide = null, randomSeed } = options;
    const { temperature, topP, seed } = request;
    this.adapter = options.adapter;
    this.#options = options;
    this.#sampling = { temperature, topP, seed: seed ?? randomSeed };
    this.#stream = tokenizer.stream();
    this.#guide = guide;
    this.#tokens = [...request.promptIds];
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

  /** What may follow the token written last; none where a guess would not pay or could not be checked. */
  guess(): readonly number[] {
    const wasClose = this.#isClose;
    this.#isClose = false;
    const room = this.#options.maxTokens - this.#tokenCount - 1;
    if (wasClose || room <= 0 || !this.#isGuessable) return [];
    return guessNext(this.#tokens, room);
  }

  /** Chooses the next tokens after a run over the token written last and a guess: as many as the guess foresaw, and one more.
   *  None where the first is too close a call; then a run over the last token alone must decide, and no guess is made.
   *  logits: f32[V] behind each token of the run */
  chooseAlong(guess: readonly number[], logits: readonly Float32Array[]): readonly SequenceStep[] {
    const steps: SequenceStep[] = [];
    for (const [i, row] of logits.entries()) {
      if (!isClear(row)) break;
      this.#past += 1;
      const step = this.choose(row);
      steps.push(step);
      if (step.finishReason !== null || this.#lastToken !== guess[i]) break;
    }
    this.#isClose = steps.length === 0;
    return steps;
  }

  /** Sampled answers draw by the logits' last digits, and log-probabilities show them. */
  get #isGuessable(): boolean {
    const { temperature, topLogprobs } = this.#options.request;
    return temperature === 0 && topLogprobs === undefined && this.#guide === null;
  }

  /** Chooses the next token from the logits behind what is in the cache.   logits f32[V] */
  choose(logits: Float32Array): SequenceStep {
    const open = this.#guide?.narrow(logits) ?? logits;
    const token = sampleToken(open, this.#sampling, this.#tokenCount);
    this.#guide?.take(token);
    this.#lastToken = token;
    this.#tokens.push(token);
    this.#tokenCount += 1;
    return { ...this.#take(token), logprob: this.#logprob(logits, token) };
  }

  #take(token: number): Pick<SequenceStep, 'text' | 'finishReason'> {
    const isEndToken = this.#options.tokenizer.eosTokenIds.includes(token);
    const isEnd = isEndToken || this.#guide?.isWhole === true;
    const isFull = this.#tokenCount >= this.#options.maxTokens;
    const shown = this.#show(isEndToken ? '' : this.#stream.push(token));
    if (shown.stopped) return { text: shown.text, finishReason: 'STOP' };
    if (!isEnd && !isFull) return { text: shown.text, finishReason: null };
    const rest = this.#show(this.#stream.end());
    const finishReason = isEnd || rest.stopped ? 'STOP' : 'LENGTH';
    return { text: shown.text + rest.text + this.#held, finishReason };
  }

  #logprob(logits: Float32Array, token: number): TokenLogprob | null {
    const { request, tokenizer } = this.#options;
    const { topLogprobs: count } = request;
    if (count === undefined) return null;
    return tokenLogprob(logits, token, { count, textOf: (id) => tokenizer.decode([id]) });
  }

  #show(piece: string) {
    const result = cutAtStop(this.#held, piece, this.#options.request.stop);
    this.#held = result.held;
    return result;
  }
}
