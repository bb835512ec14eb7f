// The graphs that devices train with, against the server's learner in floats.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { must } from '../../../src/lib/errors.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import { decodeFiles } from '../../../src/model/decode/decode-package.ts';
import { isDeviceTrainGraph } from '../../../src/model/decode/device-graph-name.ts';
import type { LlamaConfig } from '../../../src/model/llama-config.ts';
import {
  flattenLora,
  LORA_MODULES,
  type LoraShape,
  loraLayers,
} from '../../../src/model/lora/lora.ts';
import { deviceTrainFiles } from '../../../src/model/train/device-train.ts';
import { openOrtSession, type Session } from '../../../src/runtime/ort-session.ts';
import { collate } from '../../../src/training/core/batch.ts';
import {
  OnnxLearner,
  type OpenGraph,
  type TrainGraphName,
} from '../../../src/training/core/onnx-learner.ts';
import { openLlamaLearner } from '../../../src/training/llama-learner.ts';
import {
  randomAdapter,
  randomCheckpoint,
  SMALL_CONFIG,
  temporaryBase,
} from '../../support/model/random-llama.ts';

const maxTokens = 32;
const ALL: LoraShape = { rank: 4, alpha: 8, modules: LORA_MODULES };
const BATCH = collate([
  { sha256: 'a', ids: [5, 9, 120, 7, 33, 61, 2, 40], promptLength: 5 },
  { sha256: 'b', ids: [200, 3, 17, 90, 1], promptLength: 2 },
]);

const CASES: readonly (readonly [string, LlamaConfig, LoraShape])[] = [
  ['the top layer over a prefix', SMALL_CONFIG, { ...ALL, layers: [1] }],
  ['all layers, with a head of its own', { ...SMALL_CONFIG, tiedEmbeddings: false }, ALL],
];

/** A learner on the files that a device has, and on its onnxruntime. `onRun` is told which graph runs. */
async function deviceLearner(
  base: Base,
  lora: LoraShape,
  { keptBytes, onRun }: { keptBytes?: number; onRun?: (name: TrainGraphName) => void } = {},
): Promise<OnnxLearner> {
  const files = await deviceTrainFiles(base, { lora, maxTokens });
  const weights = must((await decodeFiles(base))[1], 'weights');
  const read = (name: string) => readFile(join(base.dir, name));
  const prefixLayers = Math.min(...loraLayers(base.config, lora));
  const open: OpenGraph = async (name) => {
    const file = files.find((one) => name !== 'preference' && isDeviceTrainGraph(one.name, name));
    const graph = { bytes: await read(must(file, `a graph for ${name}`).name) };
    const content = { bytes: await read(weights.name) };
    const named = { name: weights.sha256, content };
    const session = await openOrtSession(ort, { graph, weights: named }, 1);
    const run: Session['run'] = (...told) => {
      onRun?.(name);
      return session.run(...told);
    };
    return { ...session, run, close: () => session.close() };
  };
  return new OnnxLearner(
    { config: base.config, prefixLayers },
    open,
    keptBytes === undefined ? {} : { keptBytes },
  );
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe.each(CASES)("a device's training step on %s", (_, config, lora) => {
  const theta = flattenLora(config, randomAdapter(config, lora, 7));
  let base: Base;
  let remove: () => Promise<void>;
  beforeAll(async () => {
    ({ base, remove } = await temporaryBase(randomCheckpoint(config)));
  });
  afterAll(() => remove());

  it('has the loss, the gradient and the scores of the floats, but for the rounding of weights', async () => {
    const device = await deviceLearner(base, lora);
    const floats = await openLlamaLearner({ base, lora, precision: 'fp32', maxTokens, threads: 1 });
    const ours = await device.step(BATCH, theta);
    const theirs = await floats.step(BATCH, theta);
    expect(Math.abs(ours.loss / theirs.loss - 1)).toBeLessThan(0.01);
    expect(cosine(ours.gradient, theirs.gradient)).toBeGreaterThan(0.99);
    const scores = await device.logProbs(BATCH, theta);
    const mean = -scores.reduce((sum, value) => sum + value, 0) / scores.length;
    expect(mean).toBeCloseTo(ours.loss, 4);
    await device.close();
    await floats.close();
  });

  it('has the loss and the scores of the server, and nearly its gradient', async () => {
    const device = await deviceLearner(base, lora);
    const server = await openLlamaLearner({ base, lora, precision: 'int8', maxTokens, threads: 1 });
    const [ours, theirs] = [await device.step(BATCH, theta), await server.step(BATCH, theta)];
    // a head of its own is in 8 bits on the device
    const digits = config.tiedEmbeddings ? 3 : 1;
    expect(ours.loss).toBeCloseTo(theirs.loss, digits + 1);
    expect(cosine(ours.gradient, theirs.gradient)).toBeGreaterThan(0.99);
    const scores = await device.logProbs(BATCH, theta);
    for (const [i, score] of (await server.logProbs(BATCH, theta)).entries())
      expect(scores[i]).toBeCloseTo(score, digits);
    await device.close();
    await server.close();
  });
});

test('the frozen layers are computed once for each example that there is room for, else each time, to the same bits', async () => {
  const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
  const lora = { ...ALL, layers: [1] };
  const theta = flattenLora(SMALL_CONFIG, randomAdapter(SMALL_CONFIG, lora, 7));
  const later = collate([{ sha256: 'c', ids: [9, 8, 7, 6, 5, 4], promptLength: 3 }]);
  const learn = async (keptBytes?: number) => {
    const runs: TrainGraphName[] = [];
    const options = {
      ...(keptBytes !== undefined && { keptBytes }),
      onRun: (name: TrainGraphName) => runs.push(name),
    };
    const learner = await deviceLearner(base, lora, options);
    const steps: unknown[] = [];
    for (const batch of [BATCH, later, BATCH, later]) {
      const { loss, gradient } = await learner.step(batch, theta);
      steps.push([loss, gradient.slice()]);
    }
    learner.forget();
    await learner.step(BATCH, theta);
    await learner.close();
    return { steps, prefixRuns: runs.filter((name) => name === 'prefix').length };
  };
  const all = await learn();
  expect(all.prefixRuns).toBe(3);
  // 13 tokens, and 6 more that are too many
  const some = await learn(14 * SMALL_CONFIG.hiddenSize * Float32Array.BYTES_PER_ELEMENT);
  expect(some).toEqual({ steps: all.steps, prefixRuns: 4 });
  expect(await learn(0)).toEqual({ steps: all.steps, prefixRuns: 5 });
  await remove();
});
