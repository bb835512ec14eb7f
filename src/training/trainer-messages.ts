// What a trainer process and its parent say to each other.

import type { TrainingJob, TrainingProgress, TrainingResult } from './training-job.ts';

/** The message to an idle trainer. */
export interface TrainerRequest {
  readonly job: TrainingJob;
}

/** What a trainer says; `done` and `failed` are its last words on a job. */
export type TrainerReport =
  | { readonly kind: 'progress'; readonly progress: TrainingProgress }
  | { readonly kind: 'done'; readonly result: TrainingResult }
  /** isFinal: trying again gives the same. */
  | { readonly kind: 'failed'; readonly error: Error; readonly isFinal: boolean };
