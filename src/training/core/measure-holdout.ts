// How a candidate does on texts that it has not seen, beside the bare base and beside the adapter it would replace.

import { must } from '../../lib/errors.ts';
import type { LlamaConfig } from '../../model/llama-config.ts';
import { flattenLora, type LoraAdapter, type LoraShape, noLora } from '../../model/lora/lora.ts';
import type { HoldoutMeasures, PreferenceMeasure, ProbeMeasure } from './gate.ts';
import type { Learner } from './learner.ts';
import { marginsOf } from './margins.ts';
import type { TokenPair } from './preference-batch.ts';
import { scoreExamples, totalNll, totalTokens } from './score.ts';
import type { TokenExample } from './token-example.ts';

/** Scores every held-out example under the candidate, the base, and the live adapter if there is one, and every held-out pair under the same,
 *  and the general probe under the candidate. Both adapters must fit into the learner's shape. */
export async function measureHoldout(
  holdout: {
    readonly examples: readonly TokenExample[];
    readonly pairs: readonly TokenPair[];
    readonly probe: readonly TokenExample[];
    /** The probe's negative log-likelihood under the bare base, in nats. */
    readonly baseProbeNll: number;
  },
  adapters: { readonly candidate: LoraAdapter; readonly live: LoraAdapter | null },
  scorer: {
    readonly learner: Learner;
    readonly config: LlamaConfig;
    readonly shape: LoraShape;
  },
): Promise<HoldoutMeasures> {
  const { learner, config, shape } = scorer;
  const score = (theta: Float32Array) => scoreExamples(learner, holdout.examples, theta);
  const flat = (adapter: LoraAdapter) => flattenLora(config, adapter, shape);
  const thetas = {
    candidate: flat(adapters.candidate),
    base: noLora(config, shape),
    live: adapters.live && flat(adapters.live),
  };
  const candidate = await score(thetas.candidate);
  const base = await score(thetas.base);
  const live = thetas.live && (await score(thetas.live));
  return {
    examples: candidate.map(({ sha256, tokens, nll }, i) => ({
      sha256,
      tokens,
      candidate: nll,
      base: must(base[i], 'a score per example').nll,
      live: live === null ? null : must(live[i], 'a score per example').nll,
    })),
    preferences: await measurePairs(learner, holdout.pairs, thetas),
    probe: await measureProbe(learner, holdout.probe, {
      candidate: thetas.candidate,
      baseNll: holdout.baseProbeNll,
    }),
  };
}

type Thetas = Readonly<Record<'candidate' | 'base', Float32Array>> & {
  readonly live: Float32Array | null;
};

/** Measures the candidate on the general probe, whose negative log-likelihood under the base is known. */
export async function measureProbe(
  learner: Learner,
  probe: readonly TokenExample[],
  { candidate, baseNll }: { readonly candidate: Float32Array; readonly baseNll: number },
): Promise<ProbeMeasure> {
  const scores = await scoreExamples(learner, probe, candidate);
  return {
    tokens: totalTokens(scores),
    candidate: totalNll(scores),
    base: baseNll,
  };
}

async function measurePairs(
  learner: Learner,
  pairs: readonly TokenPair[],
  thetas: Thetas,
): Promise<readonly PreferenceMeasure[]> {
  const candidate = await marginsOf(learner, pairs, thetas.candidate);
  const base = await marginsOf(learner, pairs, thetas.base);
  const live = thetas.live && (await marginsOf(learner, pairs, thetas.live));
  return pairs.map((pair) => ({
    sha256: pair.sha256,
    candidate: must(candidate.get(pair), 'a margin per pair'),
    base: must(base.get(pair), 'a margin per pair'),
    live: live && must(live.get(pair), 'a margin per pair'),
  }));
}
