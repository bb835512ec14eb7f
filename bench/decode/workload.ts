// Users for both sides: prompts of real text and adapters of their own, as PEFT folders with the GGUF form beside it.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writePeftFolder } from '../../src/adapters/peft.ts';
import { encodeWireFile } from '../../src/adapters/wire-file.ts';
import type { AdapterFolder } from '../../src/inference/engine-protocol.ts';
import { must } from '../../src/lib/errors.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { type Base, loadTokenizer } from '../../src/model/base/base-package.ts';
import {
  LORA_MODULES,
  type LoraShape,
  loraSize,
  unflattenLora,
} from '../../src/model/lora/lora.ts';
import { roundLora, TENSORS_FILE, WIRE_FILE } from '../../src/model/lora/lora-wire.ts';
import { randomNumbers } from '../../test/support/model/random-llama.ts';
import { ADAPTER_GGUF, type BenchRow } from './contender.ts';
import { encodeLoraGguf } from './lora-gguf.ts';

const MAILBOX = fileURLToPath(new URL('../../examples/mailbox.jsonl', import.meta.url));

/** Rank 8 on all linear layers of all layers, as the product trains them. */
const SHAPE: LoraShape = { rank: 8, alpha: 16, modules: LORA_MODULES };

/** Changes the answers and leaves them text: speed does not depend on the values, but a denormal or infinite number would. */
const SPREAD = 0.02;

/** Makes users; the same ones each time. */
export class Workload {
  readonly #base: Base;
  readonly #folder: string;
  readonly #text: readonly number[];
  readonly #adapters = new Map<number, Promise<AdapterFolder>>();

  private constructor(base: Base, folder: string, text: readonly number[]) {
    this.#base = base;
    this.#folder = folder;
    this.#text = text;
  }

  /** Adapters go into the folder. */
  static async open(base: Base, folder: string): Promise<Workload> {
    const tokenizer = await loadTokenizer(base);
    return new Workload(base, folder, tokenizer.encode(await readFile(MAILBOX, 'utf8')));
  }

  /** Users with prompts of so many tokens, each with an adapter of their own. */
  users(count: number, promptTokens: number): Promise<BenchRow[]> {
    return this.usersOf(
      Array.from({ length: count }, (_, index) => index),
      promptTokens,
    );
  }

  /** The users of these numbers, one request each. */
  async usersOf(order: readonly number[], promptTokens: number): Promise<BenchRow[]> {
    const rows: BenchRow[] = [];
    for (const [place, index] of order.entries())
      rows.push({
        promptIds: this.prompt(place, promptTokens),
        adapter: await this.#ownAdapter(index),
      });
    return rows;
  }

  /** The text that begins at a place of its own. */
  prompt(index: number, tokens: number): readonly number[] {
    const room = this.#text.length - tokens;
    const start = (index * 211) % room;
    return this.#text.slice(start, start + tokens);
  }

  #ownAdapter(index: number): Promise<AdapterFolder> {
    const adapter = this.#adapters.get(index) ?? this.#writeAdapter(index);
    this.#adapters.set(index, adapter);
    return adapter;
  }

  async #writeAdapter(index: number): Promise<AdapterFolder> {
    const { config } = this.#base;
    const dir = join(this.#folder, `adapter-${index}`);
    const random = randomNumbers(index);
    const flat = new Float32Array(loraSize(config, SHAPE)).map(() => (random() - 0.5) * SPREAD);
    const adapter = roundLora(unflattenLora(config, SHAPE, flat));
    const files = await writePeftFolder(dir, adapter, this.#base);
    const tensors = must(
      files.find(({ name }) => name === TENSORS_FILE),
      'a file of tensors',
    );
    const wire = must(encodeWireFile(await readFile(join(dir, TENSORS_FILE))), 'a wire form');
    await writeFile(join(dir, WIRE_FILE), wire);
    await writeFile(join(dir, ADAPTER_GGUF), encodeLoraGguf(config, adapter));
    return { dir, sha256: tensors.sha256, wireSha256: sha256(wire) };
  }
}
