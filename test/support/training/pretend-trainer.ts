import { mkdir } from 'node:fs/promises';
import type { Lineage } from '../../../src/adapters/lineage.ts';
import type { Json } from '../../../src/lib/canonical-json.ts';
import { sha256 } from '../../../src/lib/sha256.ts';
import { writeFileIn } from '../../../src/sealing/private-folder.ts';
import type {
  TrainingJob,
  TrainingProgress,
  TrainingResult,
} from '../../../src/training/training-job.ts';

/** An adapter that names its dataset instead of learning it. Its held-out loss is `loss`, the base's is 3, that of the
 *  live adapter 2. */
export async function pretendToTrain(job: TrainingJob, loss = 1): Promise<TrainingResult> {
  const tensors = job.datasetSha256;
  const contents = { 'adapter_config.json': '{}', 'adapter_model.safetensors': tensors };
  await mkdir(job.outDir);
  for (const [name, text] of Object.entries(contents))
    await writeFileIn({ dir: job.outDir, seal: job.seal }, name, Buffer.from(text));
  const live = job.liveAdapterDir === null ? null : 2;
  const measure = { sha256: sha256('example'), tokens: 1, candidate: loss, base: 3, live };
  return {
    adapterDir: job.outDir,
    files: Object.entries(contents).map(([name, text]) => ({
      ...{ name, sizeBytes: text.length, sha256: sha256(text) },
    })) as TrainingResult['files'],
    measures: { examples: Array.from({ length: 8 }, () => measure) },
    ...{ losses: [1], validationLosses: [], steps: 1, notes: [], rank: 8 },
    lineage: pretendLineage(job),
  };
}

/** What a trainer says after a step. */
export function progressAt(step: number, totalSteps: number): TrainingProgress {
  const speed = { tokens: 100, tokensPerSecond: 50, secondsLeft: 2 * (totalSteps - step) };
  const losses = Array<number>(step).fill(1);
  return { step, totalSteps, loss: 1, losses, learningRate: 0.001, ...speed };
}

/** The lineage of an adapter that learnt nothing. */
function pretendLineage({ datasetSha256, recipe, shipped, warmStart }: TrainingJob): Lineage {
  return {
    ...{ baseSha256: sha256('base'), datasetSha256, codeVersion: 'pretended' },
    parentSha256: (warmStart ?? shipped)?.sha256 ?? null,
    recipe: recipe as unknown as Json,
    figures: {
      ...{ steps: 1, examples: 1, preferences: 0, notes: {}, firstLoss: 1, lastLoss: 1 },
      ...{ holdoutLoss: 1, baseLoss: 3, preferenceAccuracy: null },
    },
  };
}
