// Puts an engine together from a base's folder.

import { randomInt } from 'node:crypto';
import { systemClock } from '../lib/clock.ts';
import { loadTokenizer, openBase } from '../model/base-package.ts';
import { decodePackage } from '../model/decode-package.ts';
import { AdapterCache } from './adapter-cache.ts';
import { engineLimits } from './engine-limits.ts';
import { EngineLoop } from './engine-loop.ts';
import type { EngineSettings, RequestEvent } from './engine-protocol.ts';
import { exactWeightSign } from './integer-products.ts';
import { loadAdapter } from './load-adapter.ts';
import { ModelRunner } from './model-runner.ts';

/** Opens the base's decode graph, made on first use, and an engine on it. */
export async function openEngine(
  settings: EngineSettings,
  report: (events: readonly RequestEvent[]) => void,
): Promise<EngineLoop> {
  const base = await openBase(settings.baseDir);
  const limits = engineLimits(base.config, settings.kvBytes);
  const graph = await decodePackage(base, await exactWeightSign());
  const runner = await ModelRunner.open(graph, base.config, settings.threads);
  return new EngineLoop({
    config: base.config,
    runner,
    tokenizer: await loadTokenizer(base),
    adapters: new AdapterCache((folder) => loadAdapter(folder, base), settings.adapterBytes),
    limits,
    clock: systemClock,
    randomSeed: () => randomInt(2 ** 31),
    report,
  });
}
