import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { must } from '../../src/lib/errors.ts';
import { LORA_MODULES, type LoraShape, loraSize } from '../../src/model/lora/lora.ts';
import { baseProbeNll } from '../../src/training/base-probe.ts';
import { scoreExamples, totalNll } from '../../src/training/core/score.ts';
import { openLearner } from '../../src/training/workshop.ts';
import { randomCheckpoint, SMALL_CONFIG, temporaryBase } from '../support/model/random-llama.ts';

const lora: LoraShape = { rank: 4, alpha: 8, modules: LORA_MODULES };
const probe = [
  [5, 9, 120, 7],
  [33, 61],
  [2, 40, 8],
].map((ids, i) => ({
  ...{ sha256: `${i}`, ids },
  promptLength: 1,
}));

test('the base is scored on the probe once for each way to compute, and again when the file is damaged', async () => {
  const { base, remove } = await temporaryBase(randomCheckpoint(SMALL_CONFIG));
  let scored = 0;
  const measure = async (precision: 'fp32' | 'int8') => {
    const place = { base, lora, recipe: { precision, maxTokens: 32 }, threads: 1 };
    const learner = await openLearner(place);
    const counting = {
      logProbs: (...told: Parameters<typeof learner.logProbs>) => {
        scored += 1;
        return learner.logProbs(...told);
      },
    };
    const none = new Float32Array(loraSize(SMALL_CONFIG, lora));
    const expected = totalNll(await scoreExamples(learner, probe, none));
    expect(await baseProbeNll(place, counting, probe)).toBe(expected);
    await learner.close();
    return scored;
  };
  expect(await measure('int8')).toBe(3);
  expect(await measure('int8')).toBe(3);
  expect(await measure('fp32')).toBe(6);
  const files = (await readdir(base.dir)).filter((name) => /^probe-\w+\.v1\.json$/.test(name));
  expect(files).toHaveLength(2);
  for (const file of files) await writeFile(join(base.dir, must(file, 'a file')), '{"nll":');
  expect(await measure('int8')).toBe(9);
  await remove();
});
