// What a trainer is asked and what it answers: plain data that crosses the process border.

import type { PeftFile } from '../adapters/peft.ts';
import type { ExampleNote, PromptAndTarget } from './core/token-example.ts';
import type { PromptAndPair } from './core/token-pair.ts';
import type { StepReport } from './core/train-loop.ts';
import type { HoldoutMeasures } from './gate.ts';
import type { Recipe } from './recipe.ts';

/** An example and the part of the dataset that it belongs to. */
export interface TrainingExample extends PromptAndTarget {
  readonly split: 'train' | 'validation' | 'holdout';
}

/** A pair of answers and the part of the dataset that it belongs to. */
export interface TrainingPreference extends PromptAndPair {
  readonly split: TrainingExample['split'];
}

/** One run. */
export interface TrainingJob {
  readonly baseDir: string;
  readonly recipe: Recipe;
  readonly datasetSha256: string;
  readonly examples: readonly TrainingExample[];
  readonly preferences: readonly TrainingPreference[];
  /** The adapter to compare with: a PEFT folder. */
  readonly liveAdapterDir: string | null;
  /** Where the adapter folder shall be; must not exist yet. It appears whole or not at all. */
  readonly outDir: string;
  /** Where the run keeps its state between epochs, and goes on from what it finds of its own; absent: nowhere. */
  readonly checkpointDir?: string;
  /** Default 1. Another number of threads may give other bytes. */
  readonly threads?: number;
}

/** How far a run is. */
export interface TrainingProgress extends StepReport {
  readonly tokensPerSecond: number;
}

/** What a run made and measured. */
export interface TrainingResult {
  readonly adapterDir: string;
  readonly files: readonly PeftFile[];
  readonly measures: HoldoutMeasures;
  /** Training loss of each step, oldest first; where preferences follow writing, theirs follow too. */
  readonly losses: readonly number[];
  /** As `losses`: at the start and after each epoch. */
  readonly validationLosses: readonly number[];
  readonly steps: number;
  /** Examples that were dropped or cut, and why. */
  readonly notes: readonly ExampleNote[];
}
