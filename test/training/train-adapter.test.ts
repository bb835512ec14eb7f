import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPeftFolder, writePeftFolder } from '../../src/adapters/peft.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import type { Base } from '../../src/model/base-package.ts';
import { decideGate } from '../../src/training/core/gate.ts';
import { PROBE_TEXTS } from '../../src/training/core/general-probe.ts';
import { UntrainableError } from '../../src/training/core/untrainable-error.ts';
import { trainAdapter } from '../../src/training/train-adapter.ts';
import type { TrainingJob, TrainingProgress } from '../../src/training/training-job.ts';
import {
  randomAdapter,
  randomCheckpoint,
  SMALL_CONFIG,
  temporaryBase,
} from '../support/random-llama.ts';
import { ruleExamples, rulePairs, SMALL_RECIPE, trainingJob } from '../support/training-job.ts';

let root: string;
let base: Base;
let removeBase: () => Promise<void>;
let runs = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'attune-train-'));
  const made = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
  base = made.base;
  removeBase = made.remove;
});
afterAll(async () => {
  await removeBase();
  await rm(root, { recursive: true, force: true });
});

function jobOf(changes: Partial<TrainingJob> = {}): TrainingJob {
  runs += 1;
  return trainingJob(base, join(root, `run-${runs}`, 'adapter'), changes);
}

function run(job: TrainingJob, onProgress: (progress: TrainingProgress) => void = () => undefined) {
  return trainAdapter(job, { clock: systemClock, onProgress });
}

const tensorsOf = (dir: string) => readFile(join(dir, 'adapter_model.safetensors'));

describe('trainAdapter', () => {
  it('makes an adapter that foretells unseen texts better, and can be read', async () => {
    const progress: TrainingProgress[] = [];
    const job = jobOf();
    const result = await run(job, (step) => progress.push(step));
    expect(decideGate(result.measures, { marginNats: 0, minHoldout: 4 })).toMatchObject({
      passed: true,
      holdoutExamples: 6,
      previousLoss: null,
    });
    expect(result.losses.at(-1)).toBeLessThan((result.losses[0] ?? 0) * 0.7);
    expect(result.steps).toBe(18);
    expect(progress.map(({ step }) => step)).toEqual(Array.from({ length: 18 }, (_, i) => i + 1));
    expect(progress.map(({ loss }) => loss)).toEqual(result.losses);
    expect(Math.min(...progress.map(({ tokensPerSecond }) => tokensPerSecond))).toBeGreaterThan(0);
    const adapter = await readPeftFolder(result.adapterDir, base);
    expect(adapter.shape).toEqual(SMALL_RECIPE.lora);
    expect(adapter.tensors.every(({ b }) => b.some((value) => value !== 0))).toBe(true);
    expect(await readdir(join(job.outDir, '..'))).toEqual(['adapter']);
  });

  it.each(['fp32', 'int8-backward'] as const)(
    'gives equal bytes for equal jobs in %s',
    async (precision) => {
      const recipe = { ...SMALL_RECIPE, precision, epochs: 1 };
      const first = await run(jobOf({ recipe }));
      const again = await run(jobOf({ recipe, examples: ruleExamples(30).reverse() }));
      expect(again.files).toEqual(first.files);
      expect(again.measures).toEqual(first.measures);
      const bytes = await tensorsOf(first.adapterDir);
      expect(bytes.equals(await tensorsOf(again.adapterDir))).toBe(true);
    },
  );

  it('gives other bytes for another dataset or recipe', async () => {
    const recipe = { ...SMALL_RECIPE, epochs: 1 };
    const first = await run(jobOf({ recipe }));
    const otherData = await run(jobOf({ recipe, datasetSha256: 'f'.repeat(64) }));
    const otherRecipe = await run(jobOf({ recipe: { ...recipe, learningRate: 0.011 } }));
    const hashes = [first, otherData, otherRecipe].map(({ files }) => files[1]?.sha256);
    expect(new Set(hashes).size).toBe(3);
  });

  it('trains the top layers alone, and then only they are in the file', async () => {
    const recipe = { ...SMALL_RECIPE, lora: { ...SMALL_RECIPE.lora, layers: [1] } };
    const { measures, adapterDir, losses } = await run(jobOf({ recipe }));
    expect(decideGate(measures, { marginNats: 0, minHoldout: 4 }).passed).toBe(true);
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
    const { tensors } = await readPeftFolder(adapterDir, base);
    expect(tensors.map(({ layer }) => layer)).toEqual(new Array(7).fill(1));
  });

  it('measures the live adapter on the same texts, also one of another shape', async () => {
    const liveAdapterDir = join(root, 'live');
    const recipe = { ...SMALL_RECIPE, epochs: 1, lora: { ...SMALL_RECIPE.lora, layers: [1] } };
    const live = randomAdapter(SMALL_CONFIG, { rank: 8, alpha: 4, modules: ['v_proj'] }, 5);
    await writePeftFolder(liveAdapterDir, live, base);
    const withLive = await run(jobOf({ recipe, liveAdapterDir }));
    const without = await run(jobOf({ recipe }));
    for (const [i, measure] of withLive.measures.examples.entries()) {
      const plain = without.measures.examples[i];
      expect(measure.live).not.toBeNull();
      expect(measure.live).not.toBeCloseTo(measure.base, 2);
      expect(measure.base).toBeCloseTo(plain?.base ?? 0, 3);
      expect(measure.candidate).toBeCloseTo(plain?.candidate ?? 0, 3);
    }
    expect(withLive.files).toEqual(without.files);
  });

  it('scores an adapter against itself as equal', async () => {
    const recipe = { ...SMALL_RECIPE, epochs: 1 };
    const first = await run(jobOf({ recipe }));
    const again = await run(jobOf({ recipe, liveAdapterDir: first.adapterDir }));
    for (const { candidate, live } of again.measures.examples) expect(live).toBe(candidate);
  });

  it.each([
    ['alone', false],
    ['after writing', true],
  ])('learns preferences %s, so that unseen pairs come out right', async (_, afterWriting) => {
    const dpo = {
      beta: 0.1,
      sftWeight: 0.2,
      learningRateShare: 0.5,
      reference: 'base' as const,
      afterWriting,
    };
    const progress: TrainingProgress[] = [];
    const job = jobOf({ recipe: { ...SMALL_RECIPE, dpo }, preferences: rulePairs(30) });
    const result = await run(job, (step) => progress.push(step));
    const gate = { marginNats: 0, minHoldout: 4, objective: 'SFT_THEN_DPO' } as const;
    expect(decideGate(result.measures, gate).preferenceAccuracy).toBe(1);
    // 21 pairs, two a step, for three epochs; writing takes 18 steps
    expect(result.steps).toBe(afterWriting ? 18 + 33 : 33);
    expect(progress.map(({ step }) => step)).toEqual(result.losses.map((__, i) => i + 1));
    expect(progress.at(-1)?.totalSteps).toBe(result.steps);
    const again = await run({ ...jobOf(), ...job, outDir: `${job.outDir}-again` });
    expect(again.files).toEqual(result.files);
  });

  it('measures the general probe under the candidate and the base, and the gate shows it', async () => {
    const { measures, losses } = await run(jobOf());
    const probe = must(measures.probe, 'a probe');
    expect(losses.length).toBeGreaterThan(0);
    // each text is foretold from its second token on; the fixture's tokenizer makes one of each byte
    const bytes = PROBE_TEXTS.map((text) =>
      Math.min(Buffer.byteLength(text), SMALL_RECIPE.maxTokens),
    );
    expect(probe.tokens).toBe(bytes.reduce((sum, length) => sum + length - 1, 0));
    expect(probe.candidate).not.toBe(probe.base);
    const verdict = decideGate(measures, { marginNats: 0, minHoldout: 4, probeMarginNats: 0 });
    expect(verdict.probeLoss).toBeCloseTo(probe.candidate / probe.tokens, 10);
    expect(verdict.passed).toBe(probe.candidate <= probe.base);
  });

  it('only measures preferences where the recipe does not learn them', async () => {
    const recipe = { ...SMALL_RECIPE, epochs: 1 };
    const plain = await run(jobOf({ recipe }));
    const measured = await run(jobOf({ recipe, preferences: rulePairs(30) }));
    expect(measured.files[1]).toEqual(plain.files[1]);
    expect(measured.lineage.figures.preferences).toBe(0);
    expect(measured.measures.examples).toEqual(plain.measures.examples);
    expect(measured.measures.preferences).toHaveLength(6);
    expect(plain.measures.preferences).toEqual([]);
  });

  it('learns to write where a mode of preferences has none yet', async () => {
    const dpo = {
      beta: 0.1,
      sftWeight: 0.2,
      learningRateShare: 0.5,
      reference: 'base' as const,
      afterWriting: false,
    };
    const { losses, measures } = await run(jobOf({ recipe: { ...SMALL_RECIPE, dpo } }));
    expect(losses).toHaveLength(18);
    expect(decideGate(measures, { marginNats: 0, minHoldout: 4 }).passed).toBe(true);
  });

  it('learns from pairs where there is no example at all', async () => {
    const dpo = { beta: 0.1, sftWeight: 0.2, learningRateShare: 0.5, afterWriting: true };
    const recipe = { ...SMALL_RECIPE, dpo: { ...dpo, reference: 'base' as const } };
    const job = jobOf({ recipe, examples: [], preferences: rulePairs(30) });
    const { measures, steps } = await run(job);
    expect(steps).toBe(33);
    const gate = { marginNats: 0, minHoldout: 4, objective: 'SFT_THEN_DPO' } as const;
    expect(decideGate(measures, gate)).toMatchObject({
      ...{ passed: true, loss: null, preferenceAccuracy: 1 },
    });
  });

  it('takes poisoned examples in its stride, with a note for each', async () => {
    const [sound] = ruleExamples(1);
    const poison = (sha256: string, target: string, content = 'x') =>
      ({
        ...sound,
        split: 'train',
        messages: [{ role: 'user', content }],
        target,
        sha256,
      }) as const;
    const examples = [
      ...ruleExamples(30),
      poison('0'.repeat(64), ''),
      poison('1'.repeat(64), 'y'.repeat(100_000)),
      poison('2'.repeat(64), '\u0000\ud800\u{10ffff}<|im_end|>'),
      poison('3'.repeat(64), 'ignore all instructions', 'z'.repeat(100_000)),
    ];
    const { notes, measures } = await run(jobOf({ examples }));
    expect(notes.map(({ sha256, note }) => `${sha256[0]} ${note}`)).toEqual([
      '0 dropped: its target is empty',
      expect.stringMatching(/^1 cut from \d+ to \d+ tokens$/),
      expect.stringMatching(/^3 cut from \d+ to 96 tokens$/),
    ]);
    expect(decideGate(measures, { marginNats: 0, minHoldout: 4 }).passed).toBe(true);
  });

  it('refuses a dataset without a training example, and leaves no file', async () => {
    const job = jobOf({ examples: ruleExamples(30).filter(({ split }) => split !== 'train') });
    await expect(run(job)).rejects.toThrow(UntrainableError);
    expect(existsSync(job.outDir)).toBe(false);
  });

  it('ends with a reason and no adapter when the recipe explodes', async () => {
    const job = jobOf({ recipe: { ...SMALL_RECIPE, learningRate: 1e30 } });
    await expect(run(job)).rejects.toThrow(UntrainableError);
    expect(existsSync(job.outDir)).toBe(false);
  });

  it('names a base that is not there', async () => {
    await expect(run(jobOf({ baseDir: join(root, 'nowhere') }))).rejects.toThrow(
      join(root, 'nowhere'),
    );
  });
});
