// What a trainer is asked and what it answers: plain data that crosses the process border.

import type { Lineage } from '../adapters/lineage.ts';
import type { PeftFile } from '../adapters/peft.ts';
import type { Folder, FolderSeal } from '../sealing/private-folder.ts';
import type { HoldoutMeasures } from './core/gate.ts';
import type { Recipe } from './core/recipe.ts';
import type { ExampleNote } from './core/token-example.ts';
import type { StepReport } from './core/train-loop.ts';
import type { TrainingExample, TrainingPreference, TrainingThumb } from './core/training-set.ts';

/** An adapter to begin from. */
export interface StartingPoint {
  /** Its PEFT folder. */
  readonly adapterDir: Folder;
  /** SHA-256 of its tensors: the run's bytes depend on it. */
  readonly sha256: string;
}

/** A start from an adapter that knows some of the data already. */
export interface WarmStart extends StartingPoint {
  /** The dataset that it was trained on. */
  readonly datasetSha256: string;
  /** Hashes of the examples, preferences and thumbs of that dataset: what is not among them is new. */
  readonly learnt: readonly string[];
}

/** One run. */
export interface TrainingJob {
  readonly baseDir: string;
  readonly recipe: Recipe;
  readonly datasetSha256: string;
  readonly examples: readonly TrainingExample[];
  readonly preferences: readonly TrainingPreference[];
  readonly thumbs?: readonly TrainingThumb[];
  /** The mode's shipped adapter: what a run from scratch begins from, instead of from nothing. */
  readonly shipped?: StartingPoint | undefined;
  /** Goes on from this adapter, with what is new and a replay of the rest; absent: from scratch, with everything. */
  readonly warmStart?: WarmStart | undefined;
  /** The adapter to compare with: a PEFT folder. */
  readonly liveAdapterDir: Folder | null;
  /** Where the adapter folder shall be; must not exist yet. It appears whole or not at all. */
  readonly outDir: string;
  /** Where the run keeps its state between epochs, and goes on from what it finds of its own; absent: nowhere. */
  readonly checkpointDir?: string;
  /** How the files that the run leaves there are sealed; absent: they are plain. */
  readonly seal?: FolderSeal;
  /** Default 1. Another number of threads may give other bytes. */
  readonly threads?: number;
}

/** How far a run is. */
export interface TrainingProgress extends StepReport {
  readonly tokensPerSecond: number;
  /** If it goes on at this speed for all of its steps. */
  readonly secondsLeft: number;
}

/** What a run made and measured. */
export interface TrainingResult {
  readonly adapterDir: string;
  readonly files: readonly PeftFile[];
  /** That of the adapter it began from may be larger than the recipe's. */
  readonly rank: number;
  readonly lineage: Lineage;
  readonly measures: HoldoutMeasures;
  /** Training loss of each step, oldest first; where preferences follow writing, theirs follow too. */
  readonly losses: readonly number[];
  /** As `losses`: at the start and after each epoch. */
  readonly validationLosses: readonly number[];
  readonly steps: number;
  /** Examples that were dropped or cut, and why. */
  readonly notes: readonly ExampleNote[];
}
