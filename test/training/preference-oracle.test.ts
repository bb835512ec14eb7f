// Our SFT, DPO and KTO losses and their gradients against TRL's own code on the same folders; preferences.py recorded its side.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePeftFolder } from '../../src/adapters/peft.ts';
import { must } from '../../src/lib/errors.ts';
import { installBase } from '../../src/model/base/base-install.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { flattenLora, linearName, loraPlaces } from '../../src/model/lora/lora.ts';
import { collate } from '../../src/training/core/batch.ts';
import type { LossAndGradient } from '../../src/training/core/learner.ts';
import { marginsOf } from '../../src/training/core/margins.ts';
import { collatePairs, type ThumbWeights } from '../../src/training/core/preference-batch.ts';
import {
  collateThumbs,
  referenceOfThumbs,
  withDistance,
} from '../../src/training/core/thumb-batch.ts';
import { type LlamaLearner, openLlamaLearner } from '../../src/training/llama-learner.ts';
import { LINEAGE } from '../adapters/fixture.ts';
import {
  ORACLE_EXAMPLES,
  ORACLE_PAIRS,
  ORACLE_SHAPES,
  ORACLE_THUMBS,
  oracleAdapter,
} from '../support/faults/oracle-job.ts';

interface Measured {
  readonly loss: number;
  readonly gradients: Readonly<Record<string, { norm: number; values: readonly number[] }>>;
}

const RECORDED: {
  readonly base: string;
  readonly files: readonly string[];
  readonly beta: number;
  readonly sftWeight: number;
  readonly sft: Measured;
  readonly dpo: Measured;
  readonly thumbWeights: ThumbWeights;
  readonly kto: Measured & { readonly kl: number };
} = JSON.parse(
  readFileSync(new URL('../oracle/recorded/preferences.json', import.meta.url), 'utf8'),
);
const LORA = ORACLE_SHAPES.tiny;

describe('beside TRL, our', () => {
  let cacheDir: string;
  let base: Base;
  let learner: LlamaLearner;
  let theta: Float32Array;
  beforeAll(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'attune-trl-'));
    base = await installBase({ model: 'tiny', cacheDir });
    const options = { base, lora: LORA, precision: 'fp32', maxTokens: 64, threads: 1 } as const;
    learner = await openLlamaLearner(options);
    theta = flattenLora(base.config, oracleAdapter(base, 'tiny'));
  });
  afterAll(async () => {
    await learner?.close();
    await rm(cacheDir, { recursive: true, force: true });
  });

  function expectSame({ loss, gradient }: LossAndGradient, theirs: Measured): void {
    expect(Math.abs(loss / theirs.loss - 1)).toBeLessThan(1e-4);
    const { rank } = LORA;
    const matrices = new Map<string, Float32Array>(
      loraPlaces(base.config, LORA).flatMap((place) => {
        const name = `base_model.model.${linearName(place.layer, place.module)}`;
        const [a, b] = [place.aOffset, place.bOffset];
        return [
          [`${name}.lora_A.weight`, gradient.subarray(a, a + rank * place.in)],
          [`${name}.lora_B.weight`, gradient.subarray(b, b + rank * place.out)],
        ] as const;
      }),
    );
    expect(Object.keys(theirs.gradients)).toHaveLength(14);
    for (const [name, { norm, values }] of Object.entries(theirs.gradients)) {
      const ours = must(matrices.get(name), name);
      expect(Math.abs(Math.hypot(...ours) / norm - 1), name).toBeLessThan(1e-4);
      for (const [i, value] of values.entries()) {
        const own = must(ours[Math.floor((i * ours.length) / values.length)], name);
        expect(Math.abs(own - value), name).toBeLessThan(1e-4 * norm);
      }
    }
  }

  it('base is the one that was recorded (else run test/oracle/preferences.py again)', () => {
    expect(base.sha256).toBe(RECORDED.base);
  });

  it('folder was loaded by PEFT with our lineage in it, and is made of the same files now', async () => {
    const dir = join(cacheDir, 'adapter');
    const files = await writePeftFolder(dir, oracleAdapter(base, 'tiny'), base, LINEAGE);
    expect(files.map(({ name }) => name)).toContain('attune.json');
    expect(files.map(({ name }) => name).sort()).toEqual(RECORDED.files);
  });

  it('loss of writing is that of its SFTTrainer, gradients too', async () => {
    expectSame(await learner.step(collate(ORACLE_EXAMPLES), theta), RECORDED.sft);
  });

  it('loss of preferring is that of its DPOTrainer, gradients too', async () => {
    const { beta, sftWeight } = RECORDED;
    const reference = await marginsOf(learner, ORACLE_PAIRS, new Float32Array(theta.length));
    const batch = collatePairs(ORACLE_PAIRS, reference, { beta, sftWeight });
    expectSame(await learner.preferenceStep(batch, theta), RECORDED.dpo);
  });

  it('loss of judging answers one by one is that of its KTOTrainer, gradients too', async () => {
    const { beta, thumbWeights: weights, kto } = RECORDED;
    // else the estimate of the distance would have no part in the loss
    expect(kto.kl).toBeGreaterThan(0.01);
    const start = { theta: new Float32Array(theta.length), maxTokens: 64 };
    const reference = await referenceOfThumbs(learner, ORACLE_THUMBS, start);
    const batch = collateThumbs(ORACLE_THUMBS, reference, { beta, weights });
    expectSame(await learner.preferenceStep(await withDistance(learner, batch, theta), theta), kto);
  });
});
