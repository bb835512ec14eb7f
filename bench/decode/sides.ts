// Our engine and the peer's three forms of the base, each in a process of its own, started when they are first asked for.

import { join } from 'node:path';
import { must } from '../../src/lib/errors.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { type Contender, type ContenderCommand, startContender } from './contender.ts';
import { writePeerModels } from './peer-model.ts';

const OURS = new URL('./attune-child.ts', import.meta.url);
const PEER = new URL('../peers/llama-cpp-child.ts', import.meta.url);

/** What is measured, and on what. */
export interface Bench {
  readonly base: Base;
  readonly threads: number;
  readonly cacheDir: string;
  /** For files; removed in the end. */
  readonly folder: string;
}

/** All that is compared; q4_1 is the peer's file as published. */
export type SideName = 'ours' | 'q8_0' | 'q4_0' | 'q4_1';

/** The processes that were asked for so far. */
export class Sides {
  readonly #bench: Bench;
  readonly #started = new Map<SideName, Promise<Contender>>();
  #models: ReturnType<typeof writePeerModels> | undefined;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** Asks a side for several numbers. */
  async askAll(name: SideName, command: ContenderCommand): Promise<readonly number[]> {
    const started = this.#started.get(name) ?? this.#start(name);
    this.#started.set(name, started);
    return (await started).ask(command);
  }

  /** Asks a side for one number. */
  async ask(name: SideName, command: ContenderCommand): Promise<number> {
    return must((await this.askAll(name, command))[0], 'a number');
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    const started = [...this.#started.values()];
    await Promise.all(started.map(async (side) => (await side).close()));
  }

  async #start(name: SideName): Promise<Contender> {
    const { base, threads, cacheDir, folder } = this.#bench;
    if (name === 'ours') return startContender(OURS, base.dir, threads);
    this.#models ??= writePeerModels(join(folder, 'models'), cacheDir);
    return startContender(PEER, (await this.#models)[name], threads);
  }
}
