// What a trainer process keeps from one run to the next: open sessions, and what held-out texts scored. Neither changes a bit
// of what a run gives: a session holds nothing of the runs before, and a score follows from base, adapter and text alone.

import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Base } from '../model/base/base-package.ts';
import { loadTokenizer } from '../model/base/base-package.ts';
import type { LoraShape } from '../model/lora/lora.ts';
import type { Tokenizer } from '../model/tokenizer/tokenizer.ts';
import type { Learner } from './core/learner.ts';
import type { Recipe } from './core/recipe.ts';
import type { TokenExample } from './core/token-example.ts';
import {
  type LlamaLearner,
  type LlamaLearnerOptions,
  openLlamaLearner,
  openLlamaScorer,
} from './llama-learner.ts';

/** What a learner is opened for. */
export interface LearnerPlace {
  readonly base: Base;
  readonly lora: LoraShape;
  readonly recipe: Pick<Recipe, 'precision' | 'maxTokens'>;
  readonly threads: number;
}

// A score is some tens of numbers; more users than this do not share a trainer within a minute.
const MOST_SCORES = 20_000;

/** Keeps one learner, one tokenizer and scores by their content. One run at a time. */
export class Workshop {
  #learner: { readonly key: string; readonly opened: LlamaLearner } | undefined;
  #tokenizer: { readonly base: string; readonly loaded: Tokenizer } | undefined;
  readonly #scores = new Map<string, Float32Array>();

  /** The base's tokenizer. */
  async tokenizer(base: Base): Promise<Tokenizer> {
    if (this.#tokenizer?.base !== base.sha256)
      this.#tokenizer = { base: base.sha256, loaded: await loadTokenizer(base) };
    return this.#tokenizer.loaded;
  }

  /** A learner that knows none of the examples of earlier runs. It stays the workshop's: another place closes it. */
  async learner(place: LearnerPlace): Promise<LlamaLearner> {
    const key = keyOf(place);
    if (this.#learner?.key !== key) {
      await this.#learner?.opened.close();
      this.#learner = undefined;
      this.#learner = { key, opened: await openLearner(place) };
    }
    this.#learner.opened.forget();
    return this.#learner.opened;
  }

  /** The learner with a memory for the log-probabilities of single rows. The adapters that it is asked about must not change
   *  while it is used. */
  remembering(learner: Learner, place: LearnerPlace): Learner {
    const scores = this.#scores;
    const adapters = new WeakMap<Float32Array, string>();
    const nameOf = (theta: Float32Array) => {
      const known = adapters.get(theta) ?? sha256(bytesOf(theta));
      adapters.set(theta, known);
      return known;
    };
    return {
      step: (batch, theta) => learner.step(batch, theta),
      preferenceStep: (batch, theta) => learner.preferenceStep(batch, theta),
      logProbs: async (batch, theta) => {
        const [row, ...others] = batch.examples;
        if (row === undefined || others.length > 0) return learner.logProbs(batch, theta);
        const key = `${keyOf(place)} ${nameOf(theta)} ${contentOf(row)}`;
        const known = scores.get(key);
        if (known !== undefined) return known;
        const found = (await learner.logProbs(batch, theta)).slice();
        if (scores.size >= MOST_SCORES) scores.clear();
        scores.set(key, found);
        return found;
      },
    };
  }

  /** Whatever was scored is as if it never had been. */
  forgetScores(): void {
    this.#scores.clear();
  }

  async close(): Promise<void> {
    this.forgetScores();
    await this.#learner?.opened.close();
    this.#learner = undefined;
  }
}

/** Opens a learner of one's own. */
export function openLearner(place: LearnerPlace): Promise<LlamaLearner> {
  return openLlamaLearner(optionsOf(place));
}

/** Opens a learner of one's own that can only score. */
export function openScorer(place: LearnerPlace): Promise<LlamaLearner> {
  return openLlamaScorer(optionsOf(place));
}

function optionsOf({ base, lora, recipe, threads }: LearnerPlace): LlamaLearnerOptions {
  const { precision, maxTokens } = recipe;
  return { base, lora, precision, maxTokens, threads };
}

function keyOf({ base, lora, recipe, threads }: LearnerPlace): string {
  const { precision, maxTokens } = recipe;
  return canonicalJson([base.sha256, lora as unknown as Json, precision, maxTokens, threads]);
}

function contentOf({ ids, promptLength }: TokenExample): string {
  return sha256(`${promptLength}:${ids.join()}`);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
