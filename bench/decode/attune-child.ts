// Our side: the engine's own loop, with its scheduler, cache, adapter slots, sampler and tokenizer. The one difference from
// the server's engine is that no token ends an answer, so that every row decodes as many tokens as it is asked for.

import { AdapterSlots } from '../../src/inference/adapter-slots.ts';
import type { EngineLoop, EngineLoopOptions } from '../../src/inference/engine-loop.ts';
import type { AdapterFolder, RequestEvent } from '../../src/inference/engine-protocol.ts';
import { adapterLoader } from '../../src/inference/load-adapter.ts';
import { openEngine } from '../../src/inference/open-engine.ts';
import { openRunner } from '../../src/inference/open-runner.ts';
import { must } from '../../src/lib/errors.ts';
import { type Base, openBase } from '../../src/model/base/base-package.ts';
import { decodePackage } from '../../src/model/decode/decode-package.ts';
import { exactWeightSign } from '../../src/runtime/integer-products.ts';
import { type BenchRow, type ContenderCommand, serveContender } from './contender.ts';

const MIB = 2 ** 20;
const GREEDY = { temperature: 0, topP: 1, seed: null, stop: [] };

/** The time of each token of a row, by the order in which rows began to decode. */
type TokenTimes = number[][];
type EngineTokenizer = EngineLoopOptions['tokenizer'];

/** An engine in this process. */
class BenchEngine {
  base: Base | undefined;
  #loop: EngineLoop | undefined;
  #times: TokenTimes = [];
  readonly #waiting = new Map<number, (error: Error | null) => void>();
  #nextId = 1;
  /** Adapters that are in the engine's memory. */
  readonly #loaded = new Set<string | undefined>();

  async open(baseDir: string, threads: number): Promise<void> {
    this.base = await openBase(baseDir);
    this.#loop = await openEngine(
      { baseDir, threads, kvBytes: 1536 * MIB, adapterBytes: 512 * MIB, speculation: false },
      { report: (events) => this.#receive(events) },
      (tokenizer) => ({
        eosTokenIds: [],
        decode: (ids) => tokenizer.decode(ids),
        vocabulary: () => tokenizer.vocabulary(),
        stream: () => this.#timedStream(tokenizer),
      }),
    );
    void this.#loop.run();
  }

  /** Brings the rows' adapters into memory, so that none waits for the disk. */
  async load(rows: readonly BenchRow[]): Promise<void> {
    const missing = rows.filter(({ adapter }) => !this.#loaded.has(adapter?.sha256));
    if (missing.length > 0) await this.answer(missing, 1);
    for (const { adapter } of missing) this.#loaded.add(adapter?.sha256);
  }

  /** Answers all rows at once; the times of their tokens. */
  async answer(rows: readonly BenchRow[], maxTokens: number): Promise<TokenTimes> {
    this.#times = [];
    await Promise.all(rows.map((row, index) => this.ask(row, maxTokens, `user-${index}`)));
    return this.#times;
  }

  /** Answers one. */
  ask({ promptIds, adapter }: BenchRow, maxTokens: number, userId: string): Promise<void> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (error) => (error === null ? resolve() : reject(error)));
      const request = { promptIds, adapter, maxTokens, ...GREEDY, userId };
      must(this.#loop, 'an opened engine').submit(id, request);
    });
  }

  #timedStream(tokenizer: EngineTokenizer) {
    const stream = tokenizer.stream();
    const times: number[] = [];
    this.#times.push(times);
    return {
      push(id: number) {
        times.push(performance.now());
        return stream.push(id);
      },
      end: () => stream.end(),
    };
  }

  #receive(events: readonly RequestEvent[]): void {
    for (const event of events) {
      if (event.kind === 'text') continue;
      const settle = this.#waiting.get(event.id);
      this.#waiting.delete(event.id);
      settle?.(event.kind === 'error' ? new Error(event.error.stack ?? event.error.message) : null);
    }
  }
}

/** Tokens a second between the moment when the last row had its first token and the end of the first row that ended. */
function fullBatchRate(times: TokenTimes, rows: number): number {
  const start = Math.max(...times.map((row) => must(row[0], 'a first token')));
  const end = Math.min(...times.map((row) => must(row.at(-1), 'a last token')));
  const inside = times.flat().filter((time) => time > start && time <= end).length;
  if (times.length !== rows || inside < rows)
    throw new Error(`the ${rows} rows never decoded together: they were too short`);
  return (inside / (end - start)) * 1000;
}

const engine = new BenchEngine();

async function answer(command: ContenderCommand): Promise<readonly number[]> {
  switch (command.kind) {
    case 'open':
      await engine.open(command.model, command.threads);
      return [];
    case 'prefill':
      return [await firstTokenMs(command.row)];
    case 'decode':
      return [await decodeRate(command.rows, command.tokens)];
    case 'serve':
      return await serve(command.rows, command);
    case 'slots':
      return await slotLoads(command.adapters);
  }
}

async function decodeRate(rows: readonly BenchRow[], tokens: number): Promise<number> {
  await engine.load(rows);
  // each of the rows before has a chunk of every other row's prompt behind it when the last one begins
  const chunks = rows.reduce((sum, { promptIds }) => sum + Math.ceil(promptIds.length / 64), 0);
  return fullBatchRate(await engine.answer(rows, tokens + chunks), rows.length);
}

async function firstTokenMs(row: BenchRow): Promise<number> {
  await engine.load([{ ...row, promptIds: row.promptIds.slice(0, 1) }]);
  const startedAt = performance.now();
  const times = await engine.answer([row], 1);
  return must(times[0]?.[0], 'a first token') - startedAt;
}

async function serve(
  rows: readonly BenchRow[],
  { clients, tokens }: { readonly clients: number; readonly tokens: number },
): Promise<readonly number[]> {
  const waiting = [...rows];
  const latencies: number[] = [];
  const work = async (client: number) => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      const askedAt = performance.now();
      await engine.ask(row, tokens, `client-${client}`);
      latencies.push(performance.now() - askedAt);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  return [(performance.now() - startedAt) / 1000, ...latencies];
}

/** From the files through every check into a slot of a batch, as the engine does it for an adapter that it has proven
 *  before: the first time, which runs the model, does not count. */
async function slotLoads(adapters: readonly AdapterFolder[]): Promise<readonly number[]> {
  const base = must(engine.base, 'an opened engine');
  const runner = await openRunner(
    await decodePackage(base, await exactWeightSign()),
    base.config,
    1,
  );
  const load = adapterLoader(base, runner);
  const slots = new AdapterSlots(base.config, 2);
  const times: number[] = [];
  for (const adapter of adapters) {
    await load(adapter);
    const startedAt = performance.now();
    slots.push(await load(adapter));
    times.push(performance.now() - startedAt);
    slots.remove(0);
  }
  await runner.close();
  return times;
}

serveContender(answer);
