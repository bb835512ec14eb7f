// How much likelier a model finds the chosen answers of pairs than the rejected ones.

import type { Learner } from './learner.ts';
import type { PairMargins, TokenPair } from './preference-batch.ts';
import { scoreExamples } from './score.ts';

/** Measures every pair under `theta`. */
export async function marginsOf(
  learner: Pick<Learner, 'logProbs'>,
  pairs: readonly TokenPair[],
  theta: Float32Array,
): Promise<PairMargins> {
  const rows = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const nlls = (await scoreExamples(learner, rows, theta)).map(({ nll }) => nll);
  return new Map(pairs.map((pair, i) => [pair, (nlls[2 * i + 1] ?? 0) - (nlls[2 * i] ?? 0)]));
}

/** The sum over pairs of -log sigmoid(beta * (margin - reference)): DPO's loss without the writing term. */
export function preferenceLoss(margins: PairMargins, reference: PairMargins, beta: number): number {
  const losses = [...margins].map(([pair, margin]) => {
    const x = beta * (margin - (reference.get(pair) ?? 0));
    return Math.max(-x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  });
  return losses.reduce((sum, loss) => sum + loss, 0);
}
