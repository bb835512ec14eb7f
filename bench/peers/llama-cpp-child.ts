// The peer: llama.cpp through node-llama-cpp. It applies LoRA to a whole context, so users with adapters of their own
// cannot share a batch; each has a context, and the contexts share the weights.
//
// Settings: one context per adapter. With several users each context has one thread, and as many contexts run at once as
// there are threads: two steps beside each other need no waiting for a second thread inside each product. A single user's
// context has all threads. Flash attention is left to llama.cpp (`auto`); batches of 512, so that a prompt is read in one;
// KV cache in f16; adapters in float32, as ours are. The binary picks the kernels of this processor by itself.

import { join } from 'node:path';
import { must } from '../../src/lib/errors.ts';
import {
  ADAPTER_GGUF,
  type BenchRow,
  type ContenderCommand,
  serveContender,
} from '../decode/contender.ts';

/** What of node-llama-cpp is used here. It is not a package of the product's, so its own types may be missing. */
interface LlamaSequence {
  readonly nextTokenIndex: number;
  evaluate(
    tokens: readonly number[],
    options: { readonly temperature: number; readonly yieldEogToken: boolean },
  ): AsyncGenerator<number>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  eraseContextTokenRanges(ranges: readonly { start: number; end: number }[]): Promise<void>;
  clearHistory(): Promise<void>;
}
interface LlamaModel {
  createContext(options: {
    readonly contextSize: number;
    readonly batchSize: number;
    readonly threads: number;
    readonly flashAttention: 'auto' | boolean;
    readonly lora?: { readonly adapters: readonly { readonly filePath: string }[] };
  }): Promise<{ getSequence(): LlamaSequence }>;
}
interface NodeLlamaCpp {
  getLlama(options: {
    readonly gpu: false;
    readonly build: 'never';
    readonly skipDownload: true;
    readonly maxThreads: number;
  }): Promise<{ loadModel(options: { readonly modelPath: string }): Promise<LlamaModel> }>;
}

/** Room for the longest prompt that is asked for and its answer. */
const CONTEXT_TOKENS = 1024;
const BATCH_TOKENS = 512;
const GREEDY = { temperature: 0, yieldEogToken: true };

/** One base, and a context for each adapter that was asked for so far. */
class LlamaCppPeer {
  readonly #model: LlamaModel;
  readonly #threads: number;
  readonly #sequences = new Map<string, LlamaSequence>();

  constructor(model: LlamaModel, threads: number) {
    this.#model = model;
    this.#threads = threads;
  }

  static async open(modelPath: string, threads: number): Promise<LlamaCppPeer> {
    const name = 'node-llama-cpp';
    const { getLlama } = (await import(name)) as NodeLlamaCpp;
    const llama = await getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      maxThreads: threads,
    });
    return new LlamaCppPeer(await llama.loadModel({ modelPath }), threads);
  }

  async decodeRate(rows: readonly BenchRow[], tokens: number): Promise<number> {
    const threads = rows.length === 1 ? this.#threads : 1;
    const users: { sequence: LlamaSequence; last: number }[] = [];
    for (const row of rows) {
      const sequence = await this.#sequence(row, threads);
      users.push({ sequence, last: await readAllButLast(sequence, row.promptIds) });
    }
    const startedAt = performance.now();
    await Promise.all(users.map(({ sequence, last }) => take(sequence, [last], tokens)));
    return ((rows.length * tokens) / (performance.now() - startedAt)) * 1000;
  }

  async prefillMs(row: BenchRow): Promise<number> {
    const sequence = await this.#sequence(row, this.#threads);
    await sequence.clearHistory();
    const startedAt = performance.now();
    await take(sequence, row.promptIds, 1);
    return performance.now() - startedAt;
  }

  async #sequence({ adapter }: BenchRow, threads: number): Promise<LlamaSequence> {
    const key = `${adapter?.sha256} ${threads}`;
    const known = this.#sequences.get(key);
    if (known !== undefined) return known;
    const context = await this.#model.createContext({
      contextSize: CONTEXT_TOKENS,
      batchSize: BATCH_TOKENS,
      threads,
      flashAttention: 'auto',
      ...(adapter && { lora: { adapters: [{ filePath: join(adapter.dir, ADAPTER_GGUF) }] } }),
    });
    const sequence = context.getSequence();
    this.#sequences.set(key, sequence);
    return sequence;
  }
}

/** Leaves all of the prompt but its last token in the cache, and returns that one. */
async function readAllButLast(
  sequence: LlamaSequence,
  promptIds: readonly number[],
): Promise<number> {
  await sequence.clearHistory();
  await sequence.evaluateWithoutGeneratingNewTokens(promptIds.slice(0, -1));
  return must(promptIds.at(-1), 'a last token');
}

/** Generates so many tokens behind these. */
async function take(sequence: LlamaSequence, ids: readonly number[], tokens: number) {
  let taken = 0;
  for await (const _token of sequence.evaluate(ids, GREEDY)) {
    taken += 1;
    if (taken === tokens) return;
  }
  throw new Error(`the peer stopped after ${taken} of ${tokens} tokens`);
}

let peer: LlamaCppPeer | undefined;

async function answer(command: ContenderCommand): Promise<readonly number[]> {
  if (command.kind === 'open') {
    peer = await LlamaCppPeer.open(command.model, command.threads);
    return [];
  }
  const opened = must(peer, 'an opened model');
  if (command.kind === 'prefill') return [await opened.prefillMs(command.row)];
  if (command.kind === 'decode') return [await opened.decodeRate(command.rows, command.tokens)];
  throw new Error(`the peer is never asked for ${command.kind}`);
}

serveContender(answer);
