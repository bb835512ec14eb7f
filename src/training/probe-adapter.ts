// How an adapter that was trained elsewhere does on the general probe: texts that are nobody's, so that a server can ask
// without having the data.

import { readPeftFolder } from '../adapters/peft.ts';
import { loadTokenizer, openBase } from '../model/base/base-package.ts';
import { flattenLora } from '../model/lora/lora.ts';
import type { Folder } from '../sealing/private-folder.ts';
import { baseProbeNll } from './base-probe.ts';
import type { ProbeMeasure } from './core/gate.ts';
import { probeExamples } from './core/general-probe.ts';
import { measureProbe } from './core/measure-holdout.ts';
import { openScorer } from './workshop.ts';

/** Which adapter to measure. */
export interface ProbeJob {
  readonly baseDir: string;
  /** Its PEFT folder. */
  readonly adapterDir: Folder;
  /** Longer texts lose their end. */
  readonly maxTokens: number;
}

/** Measures the adapter and the bare base, as they answer. Throws BAD_INPUT for an adapter that cannot be read. */
export async function probeAdapter(job: ProbeJob): Promise<ProbeMeasure> {
  const { baseDir, adapterDir, maxTokens } = job;
  const base = await openBase(baseDir);
  const { config } = base;
  const adapter = await readPeftFolder(adapterDir, base);
  const lora = adapter.shape;
  const recipe = { precision: 'int8' as const, maxTokens };
  const learner = await openScorer({ base, lora, recipe, threads: 1 });
  try {
    const probe = probeExamples(await loadTokenizer(base), maxTokens);
    const candidate = flattenLora(config, adapter);
    const baseNll = await baseProbeNll({ base, lora, recipe }, learner, probe);
    return await measureProbe(learner, probe, { candidate, baseNll });
  } finally {
    await learner.close();
  }
}
