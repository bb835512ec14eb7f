// What the bare base scores on the general probe: the same for every user, so it is kept beside the base.

import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { canonicalJson } from '../lib/canonical-json.ts';
import { CODE_VERSION } from '../lib/code-version.ts';
import { textSha256 } from '../lib/text-sha256.ts';
import { derive } from '../model/base/base-derived.ts';
import { noLora } from '../model/lora/lora.ts';
import { PROBE_TEXTS } from './core/general-probe.ts';
import type { Learner } from './core/learner.ts';
import { nllUnder } from './core/score.ts';
import type { TokenExample } from './core/token-example.ts';
import type { LearnerPlace } from './workshop.ts';

/** The base's negative log-likelihood of the probe, in nats: scored once for each version of the code and kind of processor,
 *  whose last bits may differ. */
export async function baseProbeNll(
  { base, lora, recipe }: Omit<LearnerPlace, 'threads'>,
  learner: Pick<Learner, 'logProbs'>,
  probe: readonly TokenExample[],
): Promise<number> {
  const { precision, maxTokens } = recipe;
  const processor = cpus()[0]?.model ?? '';
  const follows = canonicalJson([PROBE_TEXTS, precision, maxTokens, CODE_VERSION, processor]);
  const name = `probe-${textSha256(follows).slice(0, 12)}.v1.json`;
  const path = await derive(base, name, async (target) => {
    const nll = await nllUnder(learner, probe, noLora(base.config, lora));
    await writeFile(target, JSON.stringify({ nll }));
  });
  const { nll } = JSON.parse(await readFile(path, 'utf8')) as { readonly nll: number };
  return nll;
}
