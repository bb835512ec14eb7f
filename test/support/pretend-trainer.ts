import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../src/lib/sha256.ts';
import type { TrainingJob, TrainingResult } from '../../src/training/training-job.ts';

/** An adapter that names its dataset instead of learning it. Its held-out loss is `loss`, the base's is 3, that of the
 *  live adapter 2. */
export async function pretendToTrain(job: TrainingJob, loss = 1): Promise<TrainingResult> {
  const tensors = job.datasetSha256;
  const contents = { 'adapter_config.json': '{}', 'adapter_model.safetensors': tensors };
  await mkdir(job.outDir);
  for (const [name, text] of Object.entries(contents))
    await writeFile(join(job.outDir, name), text);
  const live = job.liveAdapterDir === null ? null : 2;
  const measure = { sha256: sha256('example'), tokens: 1, candidate: loss, base: 3, live };
  return {
    adapterDir: job.outDir,
    files: Object.entries(contents).map(([name, text]) => ({
      ...{ name, sizeBytes: text.length, sha256: sha256(text) },
    })) as TrainingResult['files'],
    measures: { examples: Array.from({ length: 8 }, () => measure) },
    ...{ losses: [1], validationLosses: [], steps: 1, notes: [] },
  };
}
