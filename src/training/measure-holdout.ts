// How a candidate does on texts that it has not seen, beside the bare base and beside the adapter it would replace.

import { must } from '../lib/errors.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import { flattenLora, type LoraAdapter, type LoraShape, loraSize } from '../model/lora.ts';
import type { Learner } from './core/learner.ts';
import { scoreExamples } from './core/score.ts';
import type { TokenExample } from './core/token-example.ts';
import type { HoldoutMeasures } from './gate.ts';

/** Scores every held-out example under the candidate, the base, and the live adapter if there is one.
 *  Both adapters must fit into the learner's shape. */
export async function measureHoldout(
  holdout: readonly TokenExample[],
  adapters: { readonly candidate: LoraAdapter; readonly live: LoraAdapter | null },
  scorer: {
    readonly learner: Learner;
    readonly config: LlamaConfig;
    readonly shape: LoraShape;
  },
): Promise<HoldoutMeasures> {
  const { learner, config, shape } = scorer;
  const score = (theta: Float32Array) => scoreExamples(learner, holdout, theta);
  const flat = (adapter: LoraAdapter) => flattenLora(config, adapter, shape);
  const candidate = await score(flat(adapters.candidate));
  const base = await score(new Float32Array(loraSize(config, shape)));
  const live = adapters.live === null ? null : await score(flat(adapters.live));
  return {
    examples: candidate.map(({ sha256, tokens, nll }, i) => ({
      sha256,
      tokens,
      candidate: nll,
      base: must(base[i], 'a score per example').nll,
      live: live === null ? null : must(live[i], 'a score per example').nll,
    })),
  };
}
