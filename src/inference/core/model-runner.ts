// Runs the decode graph and puts the new keys and values into the cache.
// It knows nothing of requests, adapters' names or sampling.

import { must } from '../../lib/errors.ts';
import type { LlamaConfig } from '../../model/llama-config.ts';
import type { HostTensor } from '../../runtime/host-tensor.ts';
import type { Session } from '../../runtime/ort-session.ts';
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

  /** Takes over the session of a decode graph. */
  constructor(session: Session, config: LlamaConfig) {
    this.#session = session;
    this.#config = config;
  }

  /** Runs the rows' new tokens and writes their keys and values into the block.
   *  Returns each row's logits after its last token, f32[V]; null when they are not wanted. */
  async run(batch: Batch, wantsLogits: true): Promise<readonly Float32Array[]>;
  async run(batch: Batch, wantsLogits: boolean): Promise<readonly Float32Array[] | null>;
  async run(batch: Batch, wantsLogits: boolean): Promise<readonly Float32Array[] | null> {
    const fetches = wantsLogits ? ['logits', 'fresh'] : ['fresh'];
    const logits = await this.#run(batch, [-1], fetches);
    return logits && this.#rowsOf(logits);
  }

  /** Runs a single row's new tokens and writes their keys and values into the block.
   *  Returns the logits after each of them, f32[V]. */
  async runAll(batch: Batch): Promise<readonly Float32Array[]> {
    const asked = [...must(batch.ids[0], 'the only row').keys()];
    const logits = await this.#run(batch, asked, ['logits', 'fresh']);
    return this.#rowsOf(must(logits, 'logits'));
  }

  /** Frees the model. */
  close(): Promise<void> {
    return this.#session.close();
  }

  /** The logits that were fetched, one after the other; null for none. */
  async #run(
    batch: Batch,
    asked: readonly number[],
    fetches: readonly string[],
  ): Promise<Float32Array | null> {
    const newMask = this.#newMask(batch.ids[0]?.length ?? 0);
    const feeds = Object.assign(this.#standingFeeds(batch), stepInputs(batch, newMask, asked));
    const { logits, fresh } = await this.#session.run(feeds, fetches);
    const written = must(fresh, 'keys and values of the new positions');
    for (const [b, past] of batch.past.entries()) batch.block.append(b, past, written, b);
    return logits === undefined ? null : (logits.data as Float32Array);
  }

  #rowsOf(logits: Float32Array): readonly Float32Array[] {
    const V = this.#config.vocabSize;
    return Array.from({ length: logits.length / V }, (_, i) => logits.subarray(i * V, (i + 1) * V));
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
    const mask = this.#newMasks.get(S) ?? causalMask(S);
    this.#newMasks.set(S, mask);
    return mask;
  }
}
