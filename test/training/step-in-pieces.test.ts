// A batch of more tokens than are held at a time, against one session that takes it whole.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { must } from '../../src/lib/errors.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { flattenLora, LORA_MODULES, type LoraShape } from '../../src/model/lora/lora.ts';
import { collate } from '../../src/training/core/batch.ts';
import type { LossAndGradient } from '../../src/training/core/learner.ts';
import { marginsOf } from '../../src/training/core/margins.ts';
import type { LearnerLimits } from '../../src/training/core/onnx-learner.ts';
import { collatePairs } from '../../src/training/core/preference-batch.ts';
import { openLlamaLearner } from '../../src/training/llama-learner.ts';
import {
  randomAdapter,
  randomCheckpoint,
  SMALL_CONFIG,
  temporaryBase,
} from '../support/model/random-llama.ts';

const maxTokens = 128;
const lora: LoraShape = { rank: 4, alpha: 8, modules: LORA_MODULES };
const theta = flattenLora(SMALL_CONFIG, randomAdapter(SMALL_CONFIG, lora, 7));
const rows = Array.from({ length: 8 }, (_one, row) => ({
  sha256: `${row}`,
  ids: Array.from({ length: 70 + 5 * row }, (_two, at) => (37 * row + 11 * at) % 250),
  promptLength: 60,
}));

let base: Base;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG)));
});
afterAll(() => remove());

function expectSame(pieces: LossAndGradient, whole: LossAndGradient): void {
  expect(pieces.loss).toBeCloseTo(whole.loss, 5);
  const largest = whole.gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(largest).toBeGreaterThan(0);
  const apart = pieces.gradient.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (whole.gradient[i] ?? 0))),
    0,
  );
  expect(apart / largest).toBeLessThan(1e-5);
}

test('has the loss and the gradient of the whole batch, of writing and of preferring', async () => {
  const open = (limits: LearnerLimits) =>
    openLlamaLearner({ base, lora, precision: 'fp32', maxTokens, threads: 1, limits });
  const [whole, pieces] = [await open({ microBatchTokens: 10_000 }), await open({})];
  const batch = collate(rows);
  expect(batch.ids.length).toBeGreaterThan(2 * 256);
  expectSame(await pieces.step(batch, theta), await whole.step(batch, theta));
  const pairs = rows.slice(1).map((chosen, i) => ({
    ...{ sha256: `${i}`, chosen },
    rejected: must(rows[i], 'the row before'),
  }));
  const margins = await marginsOf(whole, pairs, new Float32Array(theta.length));
  const judged = collatePairs(pairs, margins, { beta: 0.3, sftWeight: 0.2 });
  expectSame(await pieces.preferenceStep(judged, theta), await whole.preferenceStep(judged, theta));
  await whole.close();
  await pieces.close();
});
