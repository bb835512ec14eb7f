import type { Tokenizer } from '../../model/tokenizer.ts';
import type { TokenPair } from './preference-batch.ts';
import type { Recipe } from './recipe.ts';
import { type ExampleNote, type TokenExample, tokenise } from './token-example.ts';
import { tokenisePairs } from './token-pair.ts';
import type { TrainingExample, TrainingPreference } from './training-set.ts';
import { UntrainableError } from './untrainable-error.ts';

/** One part of a dataset as tokens. */
export interface TokenisedPart {
  readonly examples: readonly TokenExample[];
  readonly pairs: readonly TokenPair[];
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
}

/** Tokenises all parts of a job. Throws UntrainableError when there is nothing to learn from. */
export function tokeniseParts(job: TextParts, tokenizer: Tokenizer): TokenisedParts {
  const { examples, preferences, recipe } = job;
  const part = (split: Split) => {
    const isPart = (item: { readonly split: Split }) => item.split === split;
    const rows = tokenise(examples.filter(isPart), tokenizer, recipe.maxTokens);
    const { pairs, notes } = tokenisePairs(preferences.filter(isPart), tokenizer, recipe.maxTokens);
    return { examples: rows.examples, pairs, notes: [...rows.notes, ...notes] };
  };
  const parts = { train: part('train'), validation: part('validation'), holdout: part('holdout') };
  const pairCount = recipe.dpo === undefined ? 0 : parts.train.pairs.length;
  if (parts.train.examples.length + pairCount === 0)
    throw new UntrainableError('there is no example to learn from');
  return { ...parts, notes: Object.values(parts).flatMap(({ notes }) => notes) };
}
