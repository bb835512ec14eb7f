import { rollBackIfRatedWorse } from '../adapters/watch-ratings.ts';
import type { CompletionRow } from '../db/schema.ts';
import { type RateDeps, type RatingInput, rateCompletion } from '../feedback/rate-completion.ts';

/** What rating an answer needs. */
export type RateAnswerDeps = RateDeps & Parameters<typeof rollBackIfRatedWorse>[0];

/** Rates an answer as rateCompletion does, and takes the version before the live one back into service when the ratings
 *  now say clearly that the live one is worse, where the mode wants that. */
export async function rateAnswer(
  deps: RateAnswerDeps,
  userId: string,
  input: RatingInput,
): Promise<CompletionRow> {
  const rated = await rateCompletion(deps, userId, input);
  const mode = deps.catalog.modes.find(({ key }) => key === rated.mode);
  if (mode?.gate.watchRatings) await rollBackIfRatedWorse(deps, userId, rated.mode);
  return rated;
}
