import { type Batch, scoringBatches } from './batch.ts';
import type { Learner } from './learner.ts';
import type { TokenExample } from './token-example.ts';

/** How well an adapter foretells one example: the negative log-likelihood in nats, summed over its target tokens. */
export interface Score {
  readonly sha256: string;
  readonly tokens: number;
  readonly nll: number;
}

// Alone, so that a score follows from adapter and example, whatever else is scored: no slower than several, which are padded.
const ROWS = 1;

/** Scores every example under `theta`, in the order of the examples. */
export async function scoreExamples(
  learner: Pick<Learner, 'logProbs'>,
  examples: readonly TokenExample[],
  theta: Float32Array,
): Promise<readonly Score[]> {
  const scores = new Map<TokenExample, Score>();
  for (const batch of scoringBatches(examples, ROWS)) {
    const logProbs = await learner.logProbs(batch, theta);
    for (const [example, score] of scoresOf(batch, logProbs)) scores.set(example, score);
  }
  return examples.flatMap((example) => scores.get(example) ?? []);
}

function scoresOf(batch: Batch, logProbs: Float32Array): [TokenExample, Score][] {
  let at = 0;
  return batch.examples.map((example) => {
    const tokens = example.ids.length - example.promptLength;
    const nll = -logProbs.subarray(at, at + tokens).reduce((sum, value) => sum + value, 0);
    at += tokens;
    return [example, { sha256: example.sha256, tokens, nll }];
  });
}

/** Negative log-likelihood of all target tokens of the examples under `theta`, in nats. */
export async function nllUnder(
  learner: Pick<Learner, 'logProbs'>,
  examples: readonly TokenExample[],
  theta: Float32Array,
): Promise<number> {
  return totalNll(await scoreExamples(learner, examples, theta));
}

/** Mean negative log-likelihood per target token, in nats. */
export function meanLoss(scores: readonly Score[]): number {
  return totalNll(scores) / totalTokens(scores);
}

/** Negative log-likelihood of all target tokens, in nats. */
export function totalNll(scores: readonly Score[]): number {
  return scores.reduce((sum, score) => sum + score.nll, 0);
}

/** Target tokens of all. */
export function totalTokens(scores: readonly Score[]): number {
  return scores.reduce((sum, score) => sum + score.tokens, 0);
}
