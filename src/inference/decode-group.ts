// The rows of one length class that decode together, a token per step. It keeps their cache and their adapters in step:
// row b of the one belongs to slot b of the other.

import { must } from '../lib/errors.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import { AdapterSlots } from './adapter-slots.ts';
import { bucketOf, KvBlock } from './core/kv-block.ts';
import type { ModelRunner } from './core/model-runner.ts';
import type { Sequence } from './core/sequence.ts';
import type { LengthClass } from './scheduler.ts';

/** Sequences whose prompts are behind them. */
export class DecodeGroup {
  readonly #block: KvBlock;
  readonly #slots: AdapterSlots;
  readonly #rows: Sequence[] = [];

  constructor(config: LlamaConfig, { capacityTokens, rows }: LengthClass) {
    this.#block = new KvBlock(config, capacityTokens);
    this.#slots = new AdapterSlots(config, rows);
  }

  /** The sequences in the order of their rows. */
  get rows(): readonly Sequence[] {
    return this.#rows;
  }

  /** Adds a sequence whose positions are row 0 of the lane that its prompt was read in. */
  join(sequence: Sequence, lane: KvBlock): void {
    this.#rows.push(sequence);
    this.#fitBucket();
    const row = this.#block.addRow();
    this.#block.copyRow(row, { block: lane, row: 0 }, sequence.past);
    this.#slots.push(sequence.adapter);
  }

  /** Removes a sequence; the last row takes its place. */
  leave(sequence: Sequence): void {
    const row = this.#rows.indexOf(sequence);
    if (row < 0) return;
    this.#block.removeRow(row);
    this.#slots.remove(row);
    const last = this.#rows.pop();
    if (last !== undefined && last !== sequence) this.#rows[row] = last;
    this.#fitBucket();
  }

  /** Runs every row's last token. Returns the logits of each, in the order of the rows. No row may join or leave
   *  meanwhile: the run reads the cache in place. */
  async run(runner: ModelRunner): Promise<readonly Float32Array[]> {
    this.#fitBucket();
    const logits = await runner.run(
      {
        block: this.#block,
        lora: this.#slots.feeds(),
        ids: this.#rows.map((row) => row.nextIds()),
        past: this.#rows.map((row) => row.past),
      },
      true,
    );
    for (const row of this.#rows) row.advance();
    return logits;
  }

  /** Runs the only row's last token and a guess of what follows it. Returns the logits behind each of them. */
  runAlong(runner: ModelRunner, guess: readonly number[]): Promise<readonly Float32Array[]> {
    const row = must(this.#rows[0], 'the only row');
    const ids = [...row.nextIds(), ...guess];
    this.#fitBucket(ids.length);
    return runner.runAll({
      block: this.#block,
      lora: this.#slots.feeds(),
      ids: [ids],
      past: [row.past],
    });
  }

  /** All rows pay for the longest, so the bucket is no longer than that one and its next positions need. */
  #fitBucket(next = 1): void {
    this.#block.setBucket(bucketOf(Math.max(0, ...this.#rows.map((row) => row.past + next))));
  }
}
