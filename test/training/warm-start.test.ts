import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readLineage } from '../../src/adapters/lineage.ts';
import { readPeftFolder, writePeftFolder } from '../../src/adapters/peft.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { flattenLora } from '../../src/model/lora/lora.ts';
import { seededRandom } from '../../src/training/core/random.ts';
import { openStart } from '../../src/training/starting-point.ts';
import type {
  TrainingProgress,
  TrainingResult,
  WarmStart,
} from '../../src/training/training-job.ts';
import { randomAdapter, SMALL_CONFIG } from '../support/model/random-llama.ts';
import { useTrainingFolder } from '../support/training/training-folder.ts';
import {
  ruleExamples,
  rulePairs,
  SMALL_DPO,
  SMALL_RECIPE,
} from '../support/training/training-job.ts';

const { base, path, jobOf, run } = useTrainingFolder();

const tensorsOf = ({ files }: TrainingResult) => files[1]?.sha256 ?? '';
const DPO = { ...SMALL_DPO, sftWeight: 0 };

/** A start from what another run made of the first `count` examples. */
async function startFrom(count: number): Promise<{ warmStart: WarmStart; first: TrainingResult }> {
  const examples = ruleExamples(count);
  const first = await run(jobOf({ examples }));
  const learnt = examples.map((example) => example.sha256);
  const datasetSha256 = sha256(learnt.join());
  const start = { adapterDir: first.adapterDir, sha256: tensorsOf(first) };
  return { first, warmStart: { ...start, datasetSha256, learnt } };
}

describe('a warm start', () => {
  it('goes on from the adapter with what is new and a replay, in a fraction of the steps', async () => {
    const { warmStart, first } = await startFrom(30);
    const examples = ruleExamples(40);
    const liveAdapterDir = first.adapterDir;
    const warm = await run(jobOf({ examples, warmStart, liveAdapterDir }));
    // 7 new examples of 28 to learn from, and two old ones for each
    expect(warm.lineage.figures).toMatchObject({ examples: 21, steps: 12 });
    expect(warm.losses[0]).toBeLessThan((first.losses[0] ?? 0) / 2);
    const measures = warm.measures.examples;
    const total = (of: 'candidate' | 'base' | 'live') =>
      measures.reduce((sum, measure) => sum + (measure[of] ?? Number.NaN), 0);
    expect(measures).toHaveLength(8);
    expect(total('candidate')).toBeLessThan(total('live'));
    expect(warm.lineage.parentSha256).toBe(warmStart.sha256);
    expect(await readLineage(warm.adapterDir)).toEqual(warm.lineage);
  });

  it('begins with the very validation loss that the run before it ended with: that of what was published', async () => {
    const { warmStart, first } = await startFrom(30);
    const warm = await run(jobOf({ examples: ruleExamples(30), warmStart }));
    expect(warm.validationLosses[0]).toBe(Math.min(...first.validationLosses));
  });

  it('repeats 4 old examples where nothing to learn from is new', async () => {
    const { warmStart } = await startFrom(30);
    const warm = await run(jobOf({ examples: ruleExamples(30), warmStart }));
    expect(warm.lineage.figures.examples).toBe(4);
  });

  it('gives equal bytes from equal starts, and others from others', async () => {
    const { warmStart } = await startFrom(30);
    const examples = ruleExamples(40);
    const once = await run(jobOf({ examples, warmStart }));
    const again = await run(jobOf({ examples: ruleExamples(40).reverse(), warmStart }));
    const scratch = await run(jobOf({ examples }));
    const other = await run(
      jobOf({ examples, warmStart: { ...warmStart, sha256: 'f'.repeat(64) } }),
    );
    expect(again.files).toEqual(once.files);
    expect(new Set([once, scratch, other].map(tensorsOf)).size).toBe(3);
  });

  it('replays pairs as it does examples', async () => {
    const { warmStart } = await startFrom(30);
    const preferences = rulePairs(30);
    const learnt = [...warmStart.learnt, ...preferences.slice(0, 20).map((pair) => pair.sha256)];
    const recipe = { ...SMALL_RECIPE, dpo: { ...DPO, reference: 'start' as const } };
    const warm = await run(jobOf({ recipe, preferences, warmStart: { ...warmStart, learnt } }));
    // 7 of the last ten pairs are to learn from, and two old ones for each
    expect(warm.lineage.figures).toMatchObject({ preferences: 21, examples: 4 });
  });

  it('repeats more examples where they go on being written beside new pairs', async () => {
    const { warmStart } = await startFrom(30);
    const dpo = { ...DPO, afterWriting: true, replay: 1 };
    const job = jobOf({ recipe: { ...SMALL_RECIPE, dpo }, preferences: rulePairs(20), warmStart });
    const warm = await run(job);
    expect(warm.lineage.figures).toMatchObject({ preferences: 14, examples: 14 });
  });
});

describe('the reference of preferences', () => {
  it.each([
    ['base', 'from scratch', 0],
    ['start', 'from scratch', 0],
    ['base', 'from an adapter', 0],
    ['start', 'from an adapter', 1],
    ['base', 'from an adapter, in a mode that ships one', 2],
    ['start', 'from the shipped adapter', 2],
    ['base', 'from the shipped adapter', 2],
  ] as const)('%s, %s', async (reference, from, expected) => {
    const shape = SMALL_RECIPE.lora;
    const pointOf = async (seed: number) => {
      const adapter = randomAdapter(SMALL_CONFIG, shape, seed);
      const adapterDir = path(`point-${seed}-${reference}-${from}`);
      await writePeftFolder(adapterDir, adapter, base());
      return { adapterDir, sha256: `${seed}`, flat: flattenLora(SMALL_CONFIG, adapter) };
    };
    const [warm, shipped] = [await pointOf(1), await pointOf(2)];
    const recipe = { ...SMALL_RECIPE, dpo: { ...DPO, reference } };
    const job = jobOf({
      recipe,
      ...(from.startsWith('from an adapter')
        ? { warmStart: { ...warm, datasetSha256: '', learnt: [] } }
        : {}),
      ...(from.includes('ship') ? { shipped } : {}),
    });
    const start = await openStart(job, base(), seededRandom('0'.repeat(32)));
    // a fresh adapter changes nothing, as one of zeros
    const isIdle = start.reference.every((value) => value === 0) || from === 'from scratch';
    expect(isIdle).toBe(expected === 0);
    if (expected > 0) expect(start.reference).toEqual([warm, shipped][expected - 1]?.flat);
  });
});

describe('a shipped adapter', () => {
  it('is what a run from scratch begins from, also with fewer ranks and layers than the recipe', async () => {
    const adapterDir = path('shipped');
    const small = randomAdapter(
      SMALL_CONFIG,
      { rank: 2, alpha: 2, modules: ['v_proj'], layers: [1] },
      3,
    );
    await writePeftFolder(adapterDir, small, base());
    const shipped = {
      adapterDir,
      sha256: sha256(await readFile(`${adapterDir}/adapter_model.safetensors`)),
    };
    const progress: TrainingProgress[] = [];
    const result = await run(jobOf({ shipped }), (step) => progress.push(step));
    // 21 examples, four a step, for two epochs at 0.3 of the rate
    expect(result.steps).toBe(12);
    const highest = Math.max(...progress.map(({ learningRate }) => learningRate));
    expect(highest).toBeCloseTo(0.3 * SMALL_RECIPE.learningRate, 10);
    expect(result.rank).toBe(SMALL_RECIPE.lora.rank);
    expect(result.lineage.parentSha256).toBe(shipped.sha256);
    const { shape: trained, tensors } = await readPeftFolder(result.adapterDir, base());
    // every rank of every layer has learnt something
    for (const { b } of tensors) {
      for (let r = 0; r < trained.rank; r += 1) {
        expect(b.some((value, i) => i % trained.rank === r && value !== 0)).toBe(true);
      }
    }
    expect(tensorsOf(result)).not.toBe(tensorsOf(await run(jobOf())));
  });

  it('of a larger shape makes adapters of that shape', async () => {
    const adapterDir = path('large');
    const shape = { rank: 8, alpha: 8, modules: SMALL_RECIPE.lora.modules };
    await writePeftFolder(adapterDir, randomAdapter(SMALL_CONFIG, shape, 4), base());
    const recipe = { ...SMALL_RECIPE, epochs: 1, lora: { ...SMALL_RECIPE.lora, layers: [1] } };
    const { rank, adapterDir: made } = await run(
      jobOf({ recipe, shipped: { adapterDir, sha256: 'large' } }),
    );
    expect(rank).toBe(8);
    expect((await readPeftFolder(made, base())).tensors).toHaveLength(14);
  });
});
