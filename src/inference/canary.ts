// The last check of an adapter before it may answer: the model itself says whether the adapter reaches its logits. A
// tensor that was read but bound to nothing, or an update too small to count, would otherwise answer as the bare base.

import { must } from '../lib/errors.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import { type AdapterImage, zeroImage } from './core/adapter-image.ts';
import { bucketOf, KvBlock } from './core/kv-block.ts';
import type { ModelRunner } from './core/model-runner.ts';

/** Several positions: over a single one attention has no choice, and an adapter of q or k alone would show nothing. */
const CANARY_TOKENS = 4;

/** Reads a few tokens with an adapter and compares the logits with those of the bare base. */
export class Canary {
  readonly #runner: ModelRunner;
  readonly #config: LlamaConfig;
  #bareLogits: Float32Array | null = null;

  constructor(runner: ModelRunner, config: LlamaConfig) {
    this.#runner = runner;
    this.#config = config;
  }

  /** Takes one run of a few tokens. Throws when the adapter's logits are not finite or equal those of the bare base. */
  async check(image: AdapterImage): Promise<void> {
    this.#bareLogits ??= await this.#read(zeroImage(this.#config));
    const bare = this.#bareLogits;
    const logits = await this.#read(image);
    const broken = logits.findIndex((logit) => !Number.isFinite(logit));
    if (broken >= 0)
      throw new Error(`it breaks the model: the logit of token ${broken} is ${logits[broken]}`);
    if (logits.every((logit, id) => logit === bare[id]))
      throw new Error('it changes nothing: the logits with it are those of the bare base');
  }

  /** The logits behind the canary's tokens, f32[V]. */
  async #read({ feeds }: AdapterImage): Promise<Float32Array> {
    const V = this.#config.vocabSize;
    const ids = Array.from({ length: CANARY_TOKENS }, (_, i) =>
      Math.floor(((i + 1) * V) / (CANARY_TOKENS + 1)),
    );
    const block = new KvBlock(this.#config, bucketOf(ids.length));
    block.addRow();
    const logits = await this.#runner.run({ block, lora: feeds, ids: [ids], past: [0] }, true);
    return must(logits[0], 'logits of the only row').slice();
  }
}
