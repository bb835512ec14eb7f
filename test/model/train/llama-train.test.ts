import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { printGraph } from '../../../src/graph/print.ts';
import { weight } from '../../../src/graph/tensor.ts';
import { must } from '../../../src/lib/errors.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import { type LlamaConfig, llamaTensors } from '../../../src/model/llama-config.ts';
import {
  flattenLora,
  LORA_MODULES,
  type LoraShape,
  loraPlaces,
  loraSize,
} from '../../../src/model/lora/lora.ts';
import { floatLinear, type LinearPrecision } from '../../../src/model/train/frozen-linear.ts';
import { trainStepGraph } from '../../../src/model/train/llama-train.ts';
import { collate } from '../../../src/training/core/batch.ts';
import type { TokenExample } from '../../../src/training/core/token-example.ts';
import { type LlamaLearner, openLlamaLearner } from '../../../src/training/llama-learner.ts';
import {
  randomAdapter,
  randomCheckpoint,
  SMALL_CONFIG,
  temporaryBase,
} from '../../support/model/random-llama.ts';
import {
  bothWays,
  type ReferenceModel,
  referenceNll,
} from '../../support/model/reference-llama.ts';

const ALL_LINEARS: LoraShape = { rank: 4, alpha: 8, modules: LORA_MODULES };
const TOP_LAYER: LoraShape = { ...ALL_LINEARS, layers: [1] };

// rows of unlike length, so that padding is part of what is checked
const EXAMPLES: readonly TokenExample[] = [
  { sha256: 'a', ids: [5, 9, 120, 7, 33, 61, 2, 40], promptLength: 5 },
  { sha256: 'b', ids: [200, 3, 17, 90, 1], promptLength: 2 },
  { sha256: 'c', ids: [8, 8, 8], promptLength: 1 },
];
const BATCH = collate(EXAMPLES);

/** The batch's loss in float64. */
function referenceLoss(model: ReferenceModel, lora: LoraShape, theta: Float32Array): number {
  const nll = EXAMPLES.reduce((sum, one) => sum + referenceNll(model, one, { lora, theta }), 0);
  return nll / EXAMPLES.reduce((sum, one) => sum + one.ids.length - one.promptLength, 0);
}

interface Case {
  readonly name: string;
  readonly config: LlamaConfig;
  readonly lora: LoraShape;
}

const CASES: readonly Case[] = [
  { name: 'all linear layers', config: SMALL_CONFIG, lora: ALL_LINEARS },
  {
    name: 'a head of its own, a k/v head per query head, stretched positions',
    config: {
      ...SMALL_CONFIG,
      kvHeadCount: 4,
      tiedEmbeddings: false,
      ropeScaling: { kind: 'linear', factor: 2 },
    },
    lora: { rank: 2, alpha: 1, modules: ['q_proj', 'v_proj', 'up_proj'] },
  },
  { name: 'the top layer over a prefix', config: SMALL_CONFIG, lora: TOP_LAYER },
];

describe.each(CASES)('a training step on $name', ({ config, lora }) => {
  const model = randomCheckpoint(config);
  const theta = flattenLora(config, randomAdapter(config, lora, 7));
  let learner: LlamaLearner;
  let remove: () => Promise<void>;

  beforeAll(async () => {
    const made = await temporaryBase(model);
    remove = made.remove;
    learner = await openLearner(made.base, lora, 'fp32');
  });
  afterAll(async () => {
    await learner.close();
    await remove();
  });

  it('has the loss of the float64 reference', async () => {
    const { loss } = await learner.step(BATCH, theta);
    expect(Math.abs(loss / referenceLoss(model, lora, theta) - 1)).toBeLessThan(1e-5);
  });

  it('has the gradient of every LoRA matrix that central differences of the reference have', async () => {
    const { gradient } = await learner.step(BATCH, theta);
    for (const { layer, module, ...place } of loraPlaces(config, lora)) {
      for (const part of ['a', 'b'] as const) {
        const [up, down] = bothWays(theta, place, { part, rank: lora.rank });
        const change = up.map((value, i) => value - must(down[i], 'same length'));
        const foretold = change.reduce((sum, delta, i) => sum + delta * (gradient[i] ?? 0), 0);
        const actual = referenceLoss(model, lora, up) - referenceLoss(model, lora, down);
        expect(Math.abs(foretold / actual - 1), `${layer} ${module} ${part}`).toBeLessThan(3e-4);
      }
    }
  });

  it('scores each example as if it were alone', async () => {
    const together = await learner.logProbs(BATCH, theta);
    const alone: number[] = [];
    for (const example of EXAMPLES)
      alone.push(...(await learner.logProbs(collate([example]), theta)));
    expect(together).toHaveLength(alone.length);
    for (const [i, value] of together.entries()) expect(value).toBeCloseTo(alone[i] ?? 0, 5);
  });
});

function openLearner(base: Base, lora: LoraShape, precision: LinearPrecision) {
  return openLlamaLearner({ base, lora, precision, maxTokens: 32, threads: 1 });
}

describe('8-bit products', () => {
  it('leave the loss nearly as it is and keep the direction of the gradient', async () => {
    const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
    const theta = flattenLora(SMALL_CONFIG, randomAdapter(SMALL_CONFIG, ALL_LINEARS, 7));
    const exact = await openLearner(base, ALL_LINEARS, 'fp32');
    const rounded = await openLearner(base, ALL_LINEARS, 'int8');
    const expected = await exact.step(BATCH, theta);
    const actual = await rounded.step(BATCH, theta);
    expect(Math.abs(actual.loss / expected.loss - 1)).toBeLessThan(0.01);
    expect(cosine(actual.gradient, expected.gradient)).toBeGreaterThan(0.995);
    expect(actual.gradient).not.toEqual(expected.gradient);
    await exact.close();
    await rounded.close();
    await remove();
  });
});

describe('an adapter that changes nothing', () => {
  it('leaves the scores of the base, bit for bit', async () => {
    const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
    const learner = await openLearner(base, ALL_LINEARS, 'fp32');
    const none = new Float32Array(loraSize(SMALL_CONFIG, ALL_LINEARS));
    const onlyA = none.slice();
    for (const { aOffset, in: size } of loraPlaces(SMALL_CONFIG, ALL_LINEARS))
      onlyA.fill(0.3, aOffset, aOffset + size * ALL_LINEARS.rank);
    const scores = await learner.logProbs(BATCH, none);
    expect(await learner.logProbs(BATCH, onlyA)).toEqual(scores);
    await learner.close();
    await remove();
  });
});

it('keeps the printed graph of the smallest training step', async () => {
  const config: LlamaConfig = { ...SMALL_CONFIG, layerCount: 1 };
  const tensors = llamaTensors(config);
  const tensor = (name: string) =>
    weight(name, 'f32', must(tensors.get(name), name), { file: 'w', byteOffset: 0 });
  const graph = trainStepGraph({
    config,
    weights: { tensor, linear: (x, name) => floatLinear(x, tensor(`${name}.weight`)) },
    lora: { rank: 2, alpha: 4, modules: ['q_proj'] },
    maxTokens: 4,
    prefixLayers: 0,
  });
  await expect(printGraph(graph)).toMatchFileSnapshot('recorded/train-step.txt');
});

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
