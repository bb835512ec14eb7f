import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adapterImage } from '../../../src/inference/core/adapter-image.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import { floatDecodeWeights, int8DecodeWeights } from '../../../src/model/decode/decode-weights.ts';
import type { LlamaConfig } from '../../../src/model/llama-config.ts';
import { LORA_MODULES, type LoraShape } from '../../../src/model/lora/lora.ts';
import {
  type DecodeSession,
  largestDifference,
  openDecodeSession,
} from '../../support/model/decode-session.ts';
import {
  randomAdapter,
  randomCheckpoint,
  randomNumbers,
  SMALL_CONFIG,
  temporaryBase,
} from '../../support/model/random-llama.ts';
import { referenceLogits } from '../../support/model/reference-llama.ts';

const SHAPES: Readonly<Record<string, LlamaConfig>> = {
  'two query heads to a k/v head, tied embeddings': SMALL_CONFIG,
  'a k/v head for every query head, a head of its own': {
    ...SMALL_CONFIG,
    kvHeadCount: 4,
    tiedEmbeddings: false,
  },
  'three query heads to the only k/v head, wide heads, stretched positions': {
    ...SMALL_CONFIG,
    headCount: 3,
    kvHeadCount: 1,
    headSize: 32,
    ropeTheta: 500,
    ropeScaling: { kind: 'linear', factor: 4 },
  },
};

const ADAPTERS: Readonly<Record<string, LoraShape | null>> = {
  'no adapter': null,
  'rank 8 on every module': { rank: 8, alpha: 16, modules: LORA_MODULES },
  'rank 3 on two modules of one layer': {
    rank: 3,
    alpha: 3,
    modules: ['k_proj', 'down_proj'],
    layers: [1],
  },
  'rank 16 on q and gate': { rank: 16, alpha: 8, modules: ['q_proj', 'gate_proj'] },
};

const random = randomNumbers(7);
const ids = Array.from({ length: 90 }, () => Math.floor(random() * SMALL_CONFIG.vocabSize));

describe.each(Object.entries(SHAPES))('a model with %s', (_name, config) => {
  const checkpoint = randomCheckpoint(config);
  let base: Base;
  let remove: () => Promise<void>;
  let floats: DecodeSession;
  let integers: DecodeSession;

  beforeAll(async () => {
    ({ base, remove } = await temporaryBase(checkpoint));
    floats = await openDecodeSession(base, floatDecodeWeights(base));
    integers = await openDecodeSession(base, await int8DecodeWeights(base, 'i8'));
  });
  afterAll(async () => {
    await floats.close();
    await integers.close();
    await remove();
  });

  test.each(Object.entries(ADAPTERS))('matches the reference with %s', async (_shape, shape) => {
    const adapter = shape === null ? null : randomAdapter(config, shape, 3);
    const options = adapter === null ? {} : { adapter: adapterImage(config, adapter) };
    const expected = referenceLogits(checkpoint, ids.slice(0, 24), adapter);
    const exact = await floats.logits(ids.slice(0, 24), options);
    expect(largestDifference(expected, exact)).toBeLessThan(1e-4);
    // 8-bit weights of so small a model move its logits, which spread over 10, by some hundredths
    const rounded = await integers.logits(ids.slice(0, 24), options);
    expect(largestDifference(expected, rounded)).toBeLessThan(0.25);
  });

  test.each([1, 7, 64])('gives the same over a cache in chunks of %i', async (chunk) => {
    const adapter = adapterImage(
      config,
      randomAdapter(config, { rank: 8, alpha: 16, modules: LORA_MODULES }, 5),
    );
    const whole = await floats.logits(ids, { adapter });
    const chunked = await floats.logits(ids, { adapter, chunk });
    expect(largestDifference(whole, chunked)).toBeLessThan(1e-4);
    const wholeRounded = await integers.logits(ids, { adapter });
    const chunkedRounded = await integers.logits(ids, { adapter, chunk });
    expect(largestDifference(wholeRounded, chunkedRounded)).toBeLessThan(0.01);
  });
});
