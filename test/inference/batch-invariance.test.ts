import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type AdapterImage,
  adapterImage,
  zeroImage,
} from '../../src/inference/core/adapter-image.ts';
import type { ModelRunner } from '../../src/inference/core/model-runner.ts';
import { Sequence } from '../../src/inference/core/sequence.ts';
import { openRunner } from '../../src/inference/open-runner.ts';
import { RunningRows } from '../../src/inference/running-rows.ts';
import type { LengthClass } from '../../src/inference/scheduler.ts';
import { decodePackage } from '../../src/model/decode/decode-package.ts';
import type { LlamaConfig } from '../../src/model/llama-config.ts';
import { LORA_MODULES } from '../../src/model/lora/lora.ts';
import {
  randomAdapter,
  randomCheckpoint,
  randomNumbers,
  SMALL_CONFIG,
  temporaryBase,
} from '../support/model/random-llama.ts';

const STEPS = 12;
const CLASS: LengthClass = { maxTokens: 512, rows: 8, capacityTokens: 8 * 512, lanes: 8 };

// Sizes decide which kernels run: odd ones, and those of a layer of the default base.
const ODD: LlamaConfig = {
  ...SMALL_CONFIG,
  hiddenSize: 200,
  headCount: 6,
  kvHeadCount: 2,
  headSize: 24,
  intermediateSize: 440,
  vocabSize: 1001,
};
const LARGE: LlamaConfig = {
  ...SMALL_CONFIG,
  layerCount: 1,
  hiddenSize: 576,
  headCount: 9,
  kvHeadCount: 3,
  headSize: 64,
  intermediateSize: 1536,
  vocabSize: 4096,
};

interface Case {
  readonly promptIds: readonly number[];
  readonly adapter: AdapterImage;
}

/** Rows of very different lengths, ranks and adapters, one of them without any. */
function casesOf(config: LlamaConfig): readonly Case[] {
  const random = randomNumbers(3);
  const lengths = [5, 64, 1, 65, 130, 200, 63];
  return lengths.map((length, i) => ({
    promptIds: Array.from({ length }, () => Math.floor(random() * config.vocabSize)),
    adapter: i === 1 ? zeroImage(config) : adapterImage(config, adapterOf(config, i)),
  }));
}

function adapterOf(config: LlamaConfig, seed: number) {
  const rank = seed === 4 ? 16 : 4 + seed;
  return randomAdapter(config, { rank, alpha: 2 * rank, modules: LORA_MODULES }, seed);
}

function sequenceOf({ promptIds, adapter }: Case): Sequence {
  const request = {
    promptIds,
    adapter: null,
    maxTokens: 400,
    temperature: 0,
    topP: 1,
    seed: 0,
    stop: [],
    userId: 'u',
  };
  const tokenizer = {
    decode: () => '',
    eosTokenIds: [],
    stream: () => ({ push: () => '', end: () => '' }),
  };
  return new Sequence({ request, adapter, tokenizer, maxTokens: 400, randomSeed: 0 });
}

/** Rows that run together, and the first STEPS logits of each. */
class Party {
  readonly logits = new Map<Sequence, Float32Array[]>();
  readonly #rows: RunningRows;

  constructor(runner: ModelRunner, config: LlamaConfig) {
    this.#rows = new RunningRows(runner, config, [CLASS]);
  }

  async join(sequence: Sequence): Promise<void> {
    this.logits.set(sequence, []);
    this.#rows.start(sequence, 0);
    let first: Float32Array | null = null;
    while (first === null) first = await this.#rows.read(sequence);
    this.#note(sequence, first);
  }

  async step(): Promise<void> {
    const sequences = [...this.#rows.decoding(0)];
    if (sequences.length === 0) return;
    const logits = await this.#rows.decode(0);
    for (const [b, sequence] of sequences.entries()) this.#note(sequence, logits[b]);
  }

  #note(sequence: Sequence, logits: Float32Array | undefined): void {
    const noted = this.logits.get(sequence);
    if (noted === undefined || logits === undefined) throw new Error('no logits of a row');
    noted.push(logits.slice());
    sequence.choose(logits);
    if (noted.length === STEPS) this.#rows.drop(sequence);
  }
}

/** Runs the cases together, one joining every `gap` steps; the logits of each, in the order of the cases. */
async function run(
  { runner, config }: { runner: ModelRunner; config: LlamaConfig },
  cases: readonly Case[],
  gap: number,
): Promise<readonly (readonly Float32Array[])[]> {
  const party = new Party(runner, config);
  for (const sequence of cases.map(sequenceOf)) {
    await party.join(sequence);
    for (let step = 0; step < gap; step += 1) await party.step();
  }
  for (let step = 0; step < STEPS; step += 1) await party.step();
  return [...party.logits.values()];
}

const MODELS = [
  { name: 'a narrow model', config: SMALL_CONFIG },
  { name: 'a model of odd sizes', config: ODD },
  { name: 'a layer of the default base', config: LARGE },
];
const RUNS = MODELS.flatMap((model) => [1, 2].map((threads) => ({ ...model, threads })));

describe.each(RUNS)('$name on $threads threads', ({ config, threads }) => {
  const cases = casesOf(config);
  let runner: ModelRunner;
  let remove: () => Promise<void>;
  let alone: (readonly Float32Array[])[];

  beforeAll(async () => {
    const made = await temporaryBase(randomCheckpoint(config));
    remove = made.remove;
    runner = await openRunner(await decodePackage(made.base, 'i8'), config, threads);
    alone = [];
    for (const one of cases) alone.push(...(await run({ runner, config }, [one], 0)));
  });
  afterAll(async () => {
    await runner.close();
    await remove();
  });

  test('gives every row the same bits in a batch as alone', async () => {
    expect(await run({ runner, config }, cases, 0)).toEqual(alone);
  });

  test('gives every row the same bits while others join and leave', async () => {
    expect(await run({ runner, config }, cases, 3)).toEqual(alone);
  });

  test('gives every row the same bits in any slot', async () => {
    const reversed = await run({ runner, config }, [...cases].reverse(), 1);
    expect([...reversed].reverse()).toEqual(alone);
  });

  test('answers differently for each adapter', () => {
    const firsts = alone.map((list) => list[0]?.[0]);
    expect(new Set(firsts).size).toBe(cases.length);
  });
});
