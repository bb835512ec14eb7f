// Runs the decode graph and puts the new keys and values into the cache.
// It knows nothing of requests, adapters' names or sampling.

import { must } from '../lib/errors.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import type { HostTensor } from '../runtime/host-tensor.ts';
import { openSession, type Session } from '../runtime/session.ts';
import { type Batch, causalMask, stepInputs } from './step-inputs.ts';

type Feeds = Record<string, HostTensor>;

/** A model ready to continue rows of text. */
export class ModelRunner {
  readonly #session: Session;
  readonly #config: LlamaConfig;
  /** Causal masks by S: prompts end in chunks of any length. */
  readonly #newMasks = new Map<number, HostTensor>();
  /** Cache and adapters by the cache's inputs: they are hundreds, and mostly the same from step to step. */
  readonly #standing = new WeakMap<object, { readonly lora: object; readonly feeds: Feeds }>();

  private constructor(session: Session, config: LlamaConfig) {
    this.#session = session;
    this.#config = config;
  }

  /** Opens a decode graph (decode-package.ts). */
  static async open(path: string, config: LlamaConfig, threads: number): Promise<ModelRunner> {
    // A memory plan per shape would be kept for ever, and every batch size and bucket is another shape. Threads that spin
    // for the next operator are a fifth faster on a machine of their own, and three times slower beside a trainer.
    const options = { threads, spinning: false, memoryPattern: false };
    return new ModelRunner(await openSession(path, options), config);
  }

  /** Runs the rows' new tokens and writes their keys and values into the block.
   *  Returns each row's logits after its last token, f32[V]; null when they are not wanted. */
  async run(batch: Batch, wantsLogits: true): Promise<readonly Float32Array[]>;
  async run(batch: Batch, wantsLogits: boolean): Promise<readonly Float32Array[] | null>;
  async run(batch: Batch, wantsLogits: boolean): Promise<readonly Float32Array[] | null> {
    const newMask = this.#newMask(batch.ids[0]?.length ?? 0);
    const feeds = Object.assign(this.#standingFeeds(batch), stepInputs(batch, newMask));
    const fetches = wantsLogits ? ['logits', 'fresh'] : ['fresh'];
    const { logits, fresh } = await this.#session.run(feeds, fetches);
    const written = must(fresh, 'keys and values of the new positions');
    for (const [b, past] of batch.past.entries()) batch.block.append(b, past, written, b);
    if (logits === undefined) return null;
    const V = this.#config.vocabSize;
    const all = logits.data as Float32Array;
    return batch.past.map((_, b) => all.subarray(b * V, (b + 1) * V));
  }

  /** Frees the model. */
  close(): Promise<void> {
    return this.#session.close();
  }

  #standingFeeds({ block, lora }: Batch): Feeds {
    const cache = block.feeds();
    const known = this.#standing.get(cache);
    if (known?.lora === lora) return known.feeds;
    const feeds = { ...cache, ...lora };
    this.#standing.set(cache, { lora, feeds });
    return feeds;
  }

  #newMask(S: number): HostTensor {
    const { headCount, kvHeadCount } = this.#config;
    const mask = this.#newMasks.get(S) ?? causalMask(S, headCount / kvHeadCount);
    this.#newMasks.set(S, mask);
    return mask;
  }
}
