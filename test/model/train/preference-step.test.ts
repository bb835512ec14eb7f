import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../../../src/lib/errors.ts';
import {
  flattenLora,
  LORA_MODULES,
  type LoraShape,
  loraPlaces,
} from '../../../src/model/lora/lora.ts';
import { marginsOf, preferenceLoss } from '../../../src/training/core/margins.ts';
import { collatePairs, type TokenPair } from '../../../src/training/core/preference-batch.ts';
import type { TokenExample } from '../../../src/training/core/token-example.ts';
import { type LlamaLearner, openLlamaLearner } from '../../../src/training/llama-learner.ts';
import {
  randomAdapter,
  randomCheckpoint,
  SMALL_CONFIG,
  temporaryBase,
} from '../../support/model/random-llama.ts';
import { bothWays, referenceNll } from '../../support/model/reference-llama.ts';

const SHAPES: readonly [string, LoraShape][] = [
  ['all layers', { rank: 4, alpha: 8, modules: LORA_MODULES }],
  ['the top layer over a prefix', { rank: 4, alpha: 8, modules: LORA_MODULES, layers: [1] }],
];
const MODEL = randomCheckpoint(SMALL_CONFIG);

const row = (sha256: string, ids: number[], promptLength: number): TokenExample => ({
  sha256,
  ids,
  promptLength,
});
// answers of unlike length, so that a mean where a sum belongs would show
const PAIRS: readonly TokenPair[] = [
  {
    sha256: 'a',
    chosen: row('a+', [5, 9, 120, 7, 33, 61, 2, 40], 4),
    rejected: row('a-', [5, 9, 120, 7, 90, 1], 4),
  },
  { sha256: 'b', chosen: row('b+', [200, 3, 17], 2), rejected: row('b-', [200, 3, 44, 8, 1], 2) },
];
const OPTIONS = { beta: 0.3, sftWeight: 0.2 };

const nllOf = (example: TokenExample, lora: LoraShape, theta: Float32Array | null) =>
  referenceNll(MODEL, example, { lora, theta });

/** As TRL's DPOTrainer computes it for loss_type "sigmoid", with rpo_alpha as the writing term, in float64. */
function referenceLoss(lora: LoraShape, theta: Float32Array): number {
  const preferred = PAIRS.map(({ chosen, rejected }) => {
    const logRatio = (example: TokenExample) =>
      nllOf(example, lora, null) - nllOf(example, lora, theta);
    return Math.log(1 + Math.exp(-OPTIONS.beta * (logRatio(chosen) - logRatio(rejected))));
  });
  const tokens = PAIRS.reduce(
    (sum, { chosen }) => sum + chosen.ids.length - chosen.promptLength,
    0,
  );
  const written = PAIRS.reduce((sum, { chosen }) => sum + nllOf(chosen, lora, theta), 0);
  const mean = preferred.reduce((sum, loss) => sum + loss, 0) / PAIRS.length;
  return mean + (OPTIONS.sftWeight * written) / tokens;
}

describe.each(SHAPES)('a preference step on %s', (_, lora) => {
  const theta = flattenLora(SMALL_CONFIG, randomAdapter(SMALL_CONFIG, lora, 7));
  let learner: LlamaLearner;
  let remove: () => Promise<void>;
  beforeAll(async () => {
    const made = await temporaryBase(MODEL);
    remove = made.remove;
    learner = await openLlamaLearner({
      ...{ base: made.base, lora, precision: 'fp32', maxTokens: 32, threads: 1 },
    });
  });
  afterAll(async () => {
    await learner.close();
    await remove();
  });

  const reference = () => marginsOf(learner, PAIRS, new Float32Array(theta.length));
  const step = async (at: Float32Array) =>
    learner.preferenceStep(collatePairs(PAIRS, await reference(), OPTIONS), at);

  it('has the loss of the float64 reference', async () => {
    const { loss } = await step(theta);
    expect(Math.abs(loss / referenceLoss(lora, theta) - 1)).toBeLessThan(1e-5);
  });

  it('has the gradient that central differences of the reference have', async () => {
    const { gradient } = await step(theta);
    for (const { layer, module, ...place } of loraPlaces(SMALL_CONFIG, lora)) {
      for (const part of ['a', 'b'] as const) {
        const [up, down] = bothWays(theta, place, { part, rank: lora.rank });
        const foretold = up.reduce(
          (sum, value, i) => sum + (value - must(down[i], 'same length')) * (gradient[i] ?? 0),
          0,
        );
        const actual = referenceLoss(lora, up) - referenceLoss(lora, down);
        expect(Math.abs(foretold / actual - 1), `${layer} ${module} ${part}`).toBeLessThan(1e-3);
      }
    }
  });

  it('starts at log 2, and at margins that are equal to the reference', async () => {
    const margins = await reference();
    expect(preferenceLoss(margins, margins, OPTIONS.beta)).toBeCloseTo(PAIRS.length * Math.LN2, 12);
    const batch = collatePairs(PAIRS, margins, { ...OPTIONS, sftWeight: 0 });
    const { loss } = await learner.preferenceStep(batch, new Float32Array(theta.length));
    expect(loss).toBeCloseTo(Math.LN2, 5);
  });

  it('has margins that are those of the reference model', async () => {
    const margins = await marginsOf(learner, PAIRS, theta);
    for (const pair of PAIRS)
      expect(margins.get(pair)).toBeCloseTo(
        nllOf(pair.rejected, lora, theta) - nllOf(pair.chosen, lora, theta),
        3,
      );
  });
});
