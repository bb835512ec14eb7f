import { AppError } from '../../lib/errors.ts';
import type { LlamaConfig } from '../../model/llama-config.ts';
import type { OutputShape } from '../../modes/output-shape.ts';

/** An answer that is wanted, wherever it is made. */
export interface Generation {
  readonly promptIds: readonly number[];
  /** Above 0; the context may end the answer sooner. */
  readonly maxTokens: number;
  /** 0: greedy, and then the same text every time. */
  readonly temperature: number;
  /** Above 0, at most 1. */
  readonly topP: number;
  /** Null: another one each time. */
  readonly seed: number | null;
  /** The answer ends before the first of these. None is empty. */
  readonly stop: readonly string[];
  /** Tells how likely each token was too, with so many of the likeliest at its place. */
  readonly topLogprobs?: number | undefined;
  /** The answer is JSON of this shape, and ends where that does. */
  readonly output?: OutputShape | undefined;
}

/** How many tokens fit behind the prompt. Throws BAD_INPUT when there is no prompt, or no room behind it. */
export function roomFor({ promptIds }: Generation, { contextLength }: LlamaConfig): number {
  const length = promptIds.length;
  if (length === 0) throw new AppError('BAD_INPUT', 'the prompt is empty');
  if (length < contextLength) return contextLength - length;
  throw new AppError(
    'BAD_INPUT',
    `the prompt has ${length} tokens, and with an answer the model reads at most ${contextLength}: shorten the input`,
  );
}
