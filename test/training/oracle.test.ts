// Our training against PyTorch, transformers and PEFT on the same folders; gradients.py recorded their side.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../../src/lib/errors.ts';
import { installBase } from '../../src/model/base/base-install.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { flattenLora, linearName, loraPlaces } from '../../src/model/lora/lora.ts';
import { newAdamW, stepAdamW } from '../../src/training/core/adamw.ts';
import { type Batch, collate } from '../../src/training/core/batch.ts';
import { type LlamaLearner, openLlamaLearner } from '../../src/training/llama-learner.ts';
import {
  ORACLE_EXAMPLES,
  ORACLE_SHAPES,
  type OracleBase,
  oracleAdapter,
} from '../support/faults/oracle-job.ts';
import { realBase } from '../support/model/real-base.ts';

interface Recorded {
  readonly base: string;
  readonly logits: readonly number[];
  readonly loss: number;
  readonly gradients: Readonly<Record<string, { norm: number; values: readonly number[] }>>;
  readonly steps: readonly number[];
}

const RECORDED: Readonly<Record<OracleBase, Recorded>> = JSON.parse(
  readFileSync(new URL('../oracle/recorded/gradients.json', import.meta.url), 'utf8'),
);
// as in gradients.py
const OPTIMISER = { learningRate: 1e-3, weightDecay: 0.01 };
const BATCH = collate(ORACLE_EXAMPLES);

/** What holds of a base and the adapter that was recorded for it. */
function agreesWithPeers(name: OracleBase, openBase: () => Promise<Base>): void {
  const expected = RECORDED[name];
  const shape = ORACLE_SHAPES[name];
  let base: Base;
  let learner: LlamaLearner;
  let theta: Float32Array;
  beforeAll(async () => {
    base = await openBase();
    const options = { base, lora: shape, precision: 'fp32', maxTokens: 64, threads: 1 } as const;
    learner = await openLlamaLearner(options);
    theta = flattenLora(base.config, oracleAdapter(base, name));
  });
  afterAll(() => learner?.close());

  it('is the base that was recorded (else run test/oracle/gradients.py again)', () => {
    expect(base.sha256).toBe(expected.base);
  });

  it('gives the loss of transformers and PEFT', async () => {
    const { loss } = await learner.step(BATCH, theta);
    expect(relative(loss, expected.loss)).toBeLessThan(1e-5);
  });

  it('gives their gradient of every LoRA matrix', async () => {
    const { gradient } = await learner.step(BATCH, theta);
    const matrices = loraPlaces(base.config, shape).flatMap((place) => {
      const prefix = `base_model.model.${linearName(place.layer, place.module)}`;
      const [a, b] = [place.aOffset, place.bOffset];
      return [
        [`${prefix}.lora_A.weight`, gradient.subarray(a, a + shape.rank * place.in)],
        [`${prefix}.lora_B.weight`, gradient.subarray(b, b + shape.rank * place.out)],
      ] as const;
    });
    expect(matrices.map(([matrix]) => matrix).sort()).toEqual(
      Object.keys(expected.gradients).sort(),
    );
    for (const [matrix, values] of matrices) {
      const { norm, values: theirs } = must(expected.gradients[matrix], matrix);
      expect(relative(Math.hypot(...values), norm), matrix).toBeLessThan(1e-4);
      for (const [i, value] of theirs.entries()) {
        const ours = must(values[Math.floor((i * values.length) / theirs.length)], matrix);
        expect(Math.abs(ours - value), matrix).toBeLessThan(1e-4 * norm);
      }
    }
  });

  it('gives their logits, up to what softmax leaves open', async () => {
    expect(await worstLogit(learner, theta, base, expected)).toBeLessThan(1e-4);
  });

  it("stays in lockstep with torch's AdamW", async () => {
    const trained = theta.slice();
    const state = newAdamW(trained.length);
    for (const [i, theirs] of expected.steps.entries()) {
      const { loss, gradient } = await learner.step(BATCH, trained);
      expect(relative(loss, theirs), `step ${i}`).toBeLessThan(1e-4);
      stepAdamW(trained, gradient, state, OPTIMISER);
    }
    expect(state.steps).toBe(expected.steps.length);
  });
}

describe('on the tiny base, our training', () => {
  let cacheDir: string;
  agreesWithPeers('tiny', async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'attune-oracle-'));
    return installBase({ model: 'tiny', cacheDir });
  });
  afterAll(() => rm(cacheDir, { recursive: true, force: true }));
});

describe.skipIf(realBase === null)('on the default base, our training', () => {
  agreesWithPeers('default', () => Promise.resolve(must(realBase, 'it is in the cache')));
});

function relative(actual: number, expected: number): number {
  return Math.abs(actual / expected - 1);
}

/** The largest difference between our logits and theirs after the first example's last token, over the largest logit.
 *  We only have log probabilities: logits less a number that is the same for all, which we take from the first. */
async function worstLogit(
  learner: LlamaLearner,
  theta: Float32Array,
  base: Base,
  { logits }: Recorded,
): Promise<number> {
  const [example] = ORACLE_EXAMPLES;
  const { ids } = must(example, 'there is an example');
  const count = logits.length;
  const spaced = logits.map((_, i) => BigInt(Math.floor((i * base.config.vocabSize) / count)));
  const batch: Batch = {
    ...collate([must(example, 'there is an example')]),
    positions: new BigInt64Array(count).fill(BigInt(ids.length - 1)),
    targets: BigInt64Array.from(spaced),
  };
  const logProbs = await learner.logProbs(batch, theta);
  const shift = (logits[0] ?? 0) - (logProbs[0] ?? 0);
  const errors = logits.map((logit, i) => Math.abs(logit - (logProbs[i] ?? 0) - shift));
  return Math.max(...errors) / Math.max(...logits.map(Math.abs));
}
