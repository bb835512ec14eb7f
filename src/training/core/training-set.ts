import type { PromptAndTarget } from './token-example.ts';
import type { PromptAndPair } from './token-pair.ts';
import type { PromptAndThumb } from './token-thumb.ts';

/** An example and the part of the dataset that it belongs to. */
export interface TrainingExample extends PromptAndTarget {
  readonly split: 'train' | 'validation' | 'holdout';
}

/** A pair of answers and the part of the dataset that it belongs to. */
export interface TrainingPreference extends PromptAndPair {
  readonly split: TrainingExample['split'];
}

/** An answer with a lone thumb and the part of the dataset that it belongs to. */
export interface TrainingThumb extends PromptAndThumb {
  readonly split: TrainingExample['split'];
}
