// Puts an engine together from a base's folder.

import { randomInt } from 'node:crypto';
import { systemClock } from '../lib/clock.ts';
import { loadTokenizer, openBase } from '../model/base/base-package.ts';
import { decodePackage } from '../model/decode/decode-package.ts';
import { exactWeightSign } from '../runtime/integer-products.ts';
import { AdapterCache } from './adapter-cache.ts';
import { engineLimits } from './engine-limits.ts';
import { EngineLoop, type EngineLoopOptions } from './engine-loop.ts';
import type { EngineSettings } from './engine-protocol.ts';
import { adapterLoader } from './load-adapter.ts';
import { openRunner } from './open-runner.ts';

type EngineTokenizer = EngineLoopOptions['tokenizer'];

/** Opens the base's decode graph, made on first use, and an engine on it. A bench may put something around the tokenizer,
 *  to see each token. */
export async function openEngine(
  settings: EngineSettings,
  tell: Pick<EngineLoopOptions, 'report' | 'onAdapter'>,
  around: (tokenizer: EngineTokenizer) => EngineTokenizer = (tokenizer) => tokenizer,
): Promise<EngineLoop> {
  const base = await openBase(settings.baseDir);
  const limits = engineLimits(base.config, settings.kvBytes);
  const graph = await decodePackage(base, await exactWeightSign());
  const runner = await openRunner(graph, base.config, settings.threads);
  return new EngineLoop({
    config: base.config,
    runner,
    tokenizer: around(await loadTokenizer(base)),
    adapters: new AdapterCache(adapterLoader(base, runner), settings.adapterBytes),
    limits,
    speculation: settings.speculation,
    clock: systemClock,
    randomSeed: () => randomInt(2 ** 31),
    ...tell,
  });
}
