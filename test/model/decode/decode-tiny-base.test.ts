import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { adapterImage } from '../../../src/inference/core/adapter-image.ts';
import { installBase } from '../../../src/model/base/base-install.ts';
import { type Base, loadTokenizer } from '../../../src/model/base/base-package.ts';
import { floatDecodeWeights, int8DecodeWeights } from '../../../src/model/decode/decode-weights.ts';
import { LORA_MODULES } from '../../../src/model/lora/lora.ts';
import { readSafetensors } from '../../../src/model/safetensors/safetensors.ts';
import {
  type DecodeSession,
  largestDifference,
  openDecodeSession,
} from '../../support/model/decode-session.ts';
import { perplexity } from '../../support/model/perplexity.ts';
import { randomAdapter } from '../../support/model/random-llama.ts';
import { referenceLogits } from '../../support/model/reference-llama.ts';

const MAIL =
  'Hi Anna,\n\nthe plumber comes on Friday at nine to look at the kitchen tap. Could you be at home until ' +
  'noon? If not, I will ask Tom for his key.\n\nThanks and see you soon,\nMarta';

let cacheDir: string;
let base: Base;
let ids: number[];
let floats: DecodeSession;
let integers: DecodeSession;

beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'attune-tiny-'));
  base = await installBase({ model: 'tiny', cacheDir });
  const tokenizer = await loadTokenizer(base);
  ids = tokenizer.encodeChat([{ role: 'user', content: MAIL }], { addGenerationPrompt: true });
  floats = await openDecodeSession(base, floatDecodeWeights(base));
  integers = await openDecodeSession(base, await int8DecodeWeights(base, 'i8'));
});
afterAll(async () => {
  await floats.close();
  await integers.close();
  await rm(cacheDir, { recursive: true, force: true });
});

test('the tiny base and an adapter on it match the reference', async () => {
  const weights = readSafetensors(join(base.dir, 'model.safetensors'));
  const model = { config: base.config, tensor: weights.read };
  const adapter = randomAdapter(base.config, { rank: 8, alpha: 16, modules: LORA_MODULES }, 1);
  const prompt = ids.slice(0, 40);
  const plain = await floats.logits(prompt);
  expect(largestDifference(referenceLogits(model, prompt), plain)).toBeLessThan(1e-4);
  const adapted = await floats.logits(prompt, { adapter: adapterImage(base.config, adapter) });
  expect(largestDifference(referenceLogits(model, prompt, adapter), adapted)).toBeLessThan(1e-3);
  expect(largestDifference(plain, adapted)).toBeGreaterThan(1);
});

test('eight bits cost the tiny base less than 2% of its perplexity', async () => {
  const inFloats = await perplexity(floats, ids);
  const inIntegers = await perplexity(integers, ids);
  expect(Math.abs(inIntegers / inFloats - 1)).toBeLessThan(0.02);
});
