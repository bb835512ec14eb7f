import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '../../../src/lib/clock.ts';
import { must } from '../../../src/lib/errors.ts';
import type { Base } from '../../../src/model/base/base-package.ts';
import { trainAdapter } from '../../../src/training/train-adapter.ts';
import type {
  TrainingJob,
  TrainingProgress,
  TrainingResult,
} from '../../../src/training/training-job.ts';
import { randomCheckpoint, SMALL_CONFIG, temporaryBase } from '../model/random-llama.ts';
import { trainingJob } from './training-job.ts';

/** A small base and a folder for adapters, for all tests of a file. */
export interface TrainingFolder {
  /** Exists only inside tests. */
  readonly base: () => Base;
  /** The path of a name in the folder; without a name the folder's. */
  readonly path: (name?: string) => string;
  /** A job with a place of its own: `run-<n>/adapter`, n counted from 1. */
  readonly jobOf: (changes?: Partial<TrainingJob>) => TrainingJob;
  /** Trains in this process. */
  readonly run: (
    job: TrainingJob,
    onProgress?: (progress: TrainingProgress) => void,
  ) => Promise<TrainingResult>;
}

/** Makes the folder before the file's tests and removes it after them. */
export function useTrainingFolder(): TrainingFolder {
  let made: { root: string; base: Base; remove: () => Promise<void> } | undefined;
  let runs = 0;
  beforeAll(async () => {
    const root = await mkdtemp(join(tmpdir(), 'attune-train-'));
    made = { root, ...(await temporaryBase(randomCheckpoint(SMALL_CONFIG))) };
  });
  afterAll(async () => {
    await made?.remove();
    if (made !== undefined) await rm(made.root, { recursive: true, force: true });
  });
  const opened = () => must(made, 'the folder exists only inside tests');
  const path = (name = '') => join(opened().root, name);
  return {
    base: () => opened().base,
    path,
    jobOf: (changes) => {
      runs += 1;
      return trainingJob(opened().base, path(`run-${runs}/adapter`), changes);
    },
    run: (job, onProgress = () => undefined) =>
      trainAdapter(job, { clock: systemClock, onProgress }),
  };
}
