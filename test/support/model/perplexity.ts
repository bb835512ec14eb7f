import { must } from '../../../src/lib/errors.ts';
import type { DecodeSession } from './decode-session.ts';

/** e to the mean negative log-likelihood of each token but the first. */
export async function perplexity(session: DecodeSession, ids: readonly number[]): Promise<number> {
  const logits = await session.logits(ids);
  const losses = ids.slice(1).map((id, i) => negativeLogLikelihood(must(logits[i], 'logits'), id));
  return Math.exp(losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
}

function negativeLogLikelihood(logits: Float32Array, id: number): number {
  const greatest = logits.reduce((a, b) => Math.max(a, b));
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - greatest), 0);
  return Math.log(total) + greatest - must(logits[id], 'a logit');
}
