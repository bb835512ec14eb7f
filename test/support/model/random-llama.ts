// Small Llamas and adapters of random numbers: any shape a test wants, the same numbers for the same seed.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Base, openBase } from '../../../src/model/base/base-package.ts';
import { writeBase } from '../../../src/model/base/base-write.ts';
import type { LlamaCheckpoint } from '../../../src/model/checkpoint.ts';
import { type LlamaConfig, llamaTensors } from '../../../src/model/llama-config.ts';
import {
  type LoraAdapter,
  type LoraShape,
  loraSize,
  unflattenLora,
} from '../../../src/model/lora/lora.ts';
import { BYTE_TOKENIZER_CONFIG, byteTokenizer } from './byte-tokenizer.ts';

/** Two layers, four heads that share two k/v heads; all sizes differ. */
export const SMALL_CONFIG: LlamaConfig = {
  hiddenSize: 64,
  layerCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 16,
  intermediateSize: 96,
  vocabSize: 272,
  rmsEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  contextLength: 512,
  tiedEmbeddings: true,
  bosTokenId: null,
  eosTokenIds: [1],
};

/** Uniform numbers from 0 to 1: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** f32[n], roughly normal with this standard deviation. */
export function randomFloats(n: number, deviation: number, random: () => number): Float32Array {
  // four uniform numbers have variance 4 / 12
  const scale = Math.sqrt(3) * deviation;
  return Float32Array.from(
    { length: n },
    () => (random() + random() + random() + random() - 2) * scale,
  );
}

/** A checkpoint whose matrices keep the size of what goes through them and whose norms all differ. Its end tokens have
 *  no weight, so that greedy answers are as long as they may be. */
export function randomCheckpoint(config: LlamaConfig, seed = 1): LlamaCheckpoint {
  const random = randomNumbers(seed);
  const tensors = new Map<string, Float32Array>();
  for (const [name, shape] of llamaTensors(config)) {
    const [rows = 1, columns] = shape;
    if (columns === undefined)
      tensors.set(
        name,
        randomFloats(rows, 0.3, random).map((x) => x + 1),
      );
    else tensors.set(name, randomFloats(rows * columns, 1 / Math.sqrt(columns), random));
  }
  const head = tensors.get(config.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight');
  for (const id of config.eosTokenIds)
    head?.fill(0, id * config.hiddenSize, (id + 1) * config.hiddenSize);
  return {
    name: `random-${seed}`,
    config,
    tokenizerJson: byteTokenizer(),
    tokenizerConfig: BYTE_TOKENIZER_CONFIG,
    tensor: (name) => tensors.get(name) ?? fail(name),
  };
}

/** An adapter of random numbers, by default large enough to change every answer. */
export function randomAdapter(
  config: LlamaConfig,
  shape: LoraShape,
  seed: number,
  size = 0.2,
): LoraAdapter {
  const flat = randomFloats(loraSize(config, shape), size, randomNumbers(seed));
  return unflattenLora(config, shape, flat);
}

/** Writes the checkpoint as a base package into a folder of its own; `remove` deletes the folder. */
export async function temporaryBase(
  checkpoint: LlamaCheckpoint,
): Promise<{ base: Base; remove: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'attune-base-'));
  await writeBase(checkpoint, dir, () => undefined);
  const remove = () => rm(dir, { recursive: true, force: true });
  return { base: await openBase(dir), remove };
}

function fail(name: string): never {
  throw new Error(`no tensor ${name}`);
}
