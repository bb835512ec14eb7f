// The memory of an engine while it runs: lanes in which prompts are read, and a group of decoding rows per length class.
// It knows which sequence lies where, and nothing of turns, requests or text.

import { must } from '../lib/errors.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import { bucketOf, KvBlock } from './core/kv-block.ts';
import type { ModelRunner } from './core/model-runner.ts';
import type { Sequence } from './core/sequence.ts';
import { DecodeGroup } from './decode-group.ts';
import type { LengthClass } from './scheduler.ts';

/** Where a sequence's prompt is read. */
interface Lane {
  readonly block: KvBlock;
  readonly lengthClass: number;
}

/** Holds the scheduler's limits by construction: there are as many lanes and rows as it counts. No sequence may be
 *  added or dropped while a run is under way, since it reads the cache in place. */
export class RunningRows {
  readonly #runner: ModelRunner;
  readonly #groups: readonly DecodeGroup[];
  readonly #freeLanes: readonly KvBlock[][];
  readonly #lanes = new Map<Sequence, Lane>();

  constructor(runner: ModelRunner, config: LlamaConfig, classes: readonly LengthClass[]) {
    this.#runner = runner;
    this.#groups = classes.map((one) => new DecodeGroup(config, one));
    this.#freeLanes = classes.map(({ lanes, maxTokens }) =>
      Array.from({ length: lanes }, () => new KvBlock(config, maxTokens)),
    );
  }

  /** The sequences of a length class that decode. */
  decoding(lengthClass: number): readonly Sequence[] {
    return this.#group(lengthClass).rows;
  }

  /** Gives a new sequence a lane. */
  start(sequence: Sequence, lengthClass: number): void {
    const block = must(this.#freeLanes[lengthClass]?.pop(), 'a free lane');
    block.addRow();
    this.#lanes.set(sequence, { block, lengthClass });
  }

  /** Reads the next chunk of a prompt. Behind its last chunk the sequence decodes, and the logits are returned. */
  async read(sequence: Sequence): Promise<Float32Array | null> {
    const lane = must(this.#lanes.get(sequence), 'a lane of the sequence');
    const { past, isNextChosen } = sequence;
    const ids = sequence.nextIds();
    lane.block.setBucket(bucketOf(past + ids.length));
    const lora = sequence.adapter.feeds;
    const batch = { block: lane.block, lora, ids: [ids], past: [past] };
    const logits = await this.#runner.run(batch, isNextChosen);
    sequence.advance();
    if (logits === null) return null;
    this.#group(lane.lengthClass).join(sequence, lane.block);
    this.#freeLane(sequence);
    return must(logits[0], 'logits of the only row');
  }

  /** Runs one token of every decoding row of a class. Returns the logits of each, f32[V], in the order of `decoding`. */
  decode(lengthClass: number): Promise<readonly Float32Array[]> {
    return this.#group(lengthClass).run(this.#runner);
  }

  /** Runs the last token of a class's only row and a guess of what follows. Returns the logits behind each, f32[V]. */
  decodeAlong(lengthClass: number, guess: readonly number[]): Promise<readonly Float32Array[]> {
    return this.#group(lengthClass).runAlong(this.#runner, guess);
  }

  /** Forgets a sequence, wherever it is. */
  drop(sequence: Sequence): void {
    this.#freeLane(sequence);
    for (const group of this.#groups) group.leave(sequence);
  }

  #freeLane(sequence: Sequence): void {
    const lane = this.#lanes.get(sequence);
    if (lane === undefined) return;
    this.#lanes.delete(sequence);
    lane.block.removeRow(0);
    lane.block.setBucket(bucketOf(0));
    this.#freeLanes[lane.lengthClass]?.push(lane.block);
  }

  #group(lengthClass: number): DecodeGroup {
    return must(this.#groups[lengthClass], `length class ${lengthClass}`);
  }
}
