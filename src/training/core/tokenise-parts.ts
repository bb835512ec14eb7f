import type { Tokenizer } from '../../model/tokenizer/tokenizer.ts';
import type { TokenPair } from './preference-batch.ts';
import type { Recipe } from './recipe.ts';
import { type ExampleNote, type TokenExample, tokenise } from './token-example.ts';
import { tokenisePairs } from './token-pair.ts';
import { matchThumbs, type TokenThumb, tokeniseThumbs } from './token-thumb.ts';
import type { TrainingExample, TrainingPreference, TrainingThumb } from './training-set.ts';
import { UntrainableError } from './untrainable-error.ts';

/** One part of a dataset as tokens. */
export interface TokenisedPart {
  readonly examples: readonly TokenExample[];
  /** Of the holdout: also those that its lone thumbs are matched to. */
  readonly pairs: readonly TokenPair[];
  /** Of train and validation: lone thumbs. */
  readonly thumbs: readonly TokenThumb[];
}

type Split = TrainingExample['split'];

/** A dataset as tokens, and what was dropped or cut to get there. */
export type TokenisedParts = Readonly<Record<Split, TokenisedPart>> & {
  readonly notes: readonly ExampleNote[];
};

/** What a run is given, as texts. */
export interface TextParts {
  readonly recipe: Recipe;
  readonly examples: readonly TrainingExample[];
  readonly preferences: readonly TrainingPreference[];
  readonly thumbs?: readonly TrainingThumb[];
}

/** Tokenises all parts of a job. Throws UntrainableError when there is nothing to learn from. */
export function tokeniseParts(job: TextParts, tokenizer: Tokenizer): TokenisedParts {
  const part = (split: Split) => tokenisePart(job, split, tokenizer);
  const [train, validation, holdout] = [part('train'), part('validation'), part('holdout')];
  const preferenceCount =
    job.recipe.dpo === undefined ? 0 : train.pairs.length + train.thumbs.length;
  if (train.examples.length + preferenceCount === 0)
    throw new UntrainableError('there is no example to learn from');
  const pairs = [...holdout.pairs, ...matchThumbs(holdout.thumbs)];
  const notes = [train, validation, holdout].flatMap((made) => made.notes);
  return { train, validation, holdout: { ...holdout, pairs }, notes };
}

function tokenisePart(
  { examples, preferences, thumbs = [], recipe: { maxTokens } }: TextParts,
  split: Split,
  tokenizer: Tokenizer,
): TokenisedPart & { readonly notes: readonly ExampleNote[] } {
  const isPart = (item: { readonly split: Split }) => item.split === split;
  const rows = tokenise(examples.filter(isPart), tokenizer, maxTokens);
  const rated = tokenisePairs(preferences.filter(isPart), tokenizer, maxTokens);
  const judged = tokeniseThumbs(thumbs.filter(isPart), tokenizer, maxTokens);
  return {
    examples: rows.examples,
    pairs: rated.pairs,
    thumbs: judged.thumbs,
    notes: [...rows.notes, ...rated.notes, ...judged.notes],
  };
}
