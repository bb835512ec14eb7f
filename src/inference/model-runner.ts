// Runs the decode graph: makes the small inputs of a step, and puts the new keys and values into the cache.
// It knows nothing of requests, adapters' names or sampling.

import type { LlamaConfig } from '../model/llama-config.ts';
import { type HostTensor, hostTensor } from '../runtime/host-tensor.ts';
import { openSession, type Session } from '../runtime/session.ts';
import type { KvBlock } from './kv-block.ts';

/** Added to a score that must not count: after softmax it is exactly zero, in any company. */
const MASKED = -1e9;

/** Rows that run together: row b of the block continues with ids[b], which all have one length S. */
export interface Batch {
  readonly block: KvBlock;
  /** The LoRA inputs for as many rows. */
  readonly lora: Readonly<Record<string, HostTensor>>;
  readonly ids: readonly (readonly number[])[];
  /** Positions that each row has in the block. The block has room for S more. */
  readonly past: readonly number[];
}

/** A model ready to continue rows of text. */
export class ModelRunner {
  readonly #session: Session;
  readonly #config: LlamaConfig;
  /** Causal masks by S: prompts end in chunks of any length. */
  readonly #newMasks = new Map<number, HostTensor>();

  private constructor(session: Session, config: LlamaConfig) {
    this.#session = session;
    this.#config = config;
  }

  /** Opens a decode graph (decode-package.ts). */
  static async open(graphPath: string, config: LlamaConfig, threads: number): Promise<ModelRunner> {
    return new ModelRunner(
      await openSession(graphPath, { threads, spinning: threads > 1 }),
      config,
    );
  }

  /** Runs the rows' new tokens and writes their keys and values into the block.
   *  Returns each row's logits after its last token, f32[V]; null where they are not asked for. */
  async run(batch: Batch, wantsLogits: true): Promise<readonly Float32Array[]>;
  async run(batch: Batch, wantsLogits: boolean): Promise<readonly Float32Array[] | null>;
  async run(batch: Batch, wantsLogits: boolean): Promise<readonly Float32Array[] | null> {
    const fetches = wantsLogits ? ['logits', 'fresh'] : ['fresh'];
    const { logits, fresh } = await this.#session.run(this.#feeds(batch), fetches);
    if (fresh === undefined) throw new Error('the decode graph returned no keys and values');
    for (const [b, past] of batch.past.entries()) batch.block.append(b, past, fresh, b);
    if (logits === undefined) return null;
    const V = this.#config.vocabSize;
    const all = logits.data as Float32Array;
    return batch.past.map((_, b) => all.subarray(b * V, (b + 1) * V));
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #feeds({ block, lora, ids, past }: Batch): Readonly<Record<string, HostTensor>> {
    const B = ids.length;
    const S = ids[0]?.length ?? 0;
    const T = block.bucket;
    const mask = new Float32Array(B * T);
    for (const [b, tokens] of past.entries()) mask.fill(MASKED, b * T + tokens, (b + 1) * T);
    const positions = past.flatMap((tokens) => Array.from({ length: S }, (_, s) => tokens + s));
    return {
      ...block.feeds(),
      ...lora,
      ids: hostTensor(BigInt64Array.from(ids.flat(), BigInt), [B, S]),
      positions: hostTensor(BigInt64Array.from(positions, BigInt), [B, S]),
      past_mask: hostTensor(mask, [B, 1, 1, T]),
      new_mask: this.#newMask(S),
    };
  }

  /** f32[1, 1, S*G, S]: row s*G+g may see positions up to s. */
  #newMask(S: number): HostTensor {
    const known = this.#newMasks.get(S);
    if (known !== undefined) return known;
    const G = this.#config.headCount / this.#config.kvHeadCount;
    const mask = new Float32Array(S * G * S);
    for (let row = 0; row < S * G; row += 1)
      mask.fill(MASKED, row * S + Math.floor(row / G) + 1, (row + 1) * S);
    const made = hostTensor(mask, [1, 1, S * G, S]);
    this.#newMasks.set(S, made);
    return made;
  }
}
