// The stages of one run: claim -> fold the dataset -> decide -> train -> gate -> publish or reject.
// Each stage hands immutable values to the next; every write is fenced by the claim, so a run that was cancelled or
// claimed again ends without effect.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Candidate,
  ClaimLost,
  LiveAdapterChanged,
  publishAdapter,
  recordRejected,
} from '../adapters/publish.ts';
import { liveAdapter } from '../adapters/registry.ts';
import type { AdapterStore } from '../adapters/store.ts';
import { decideRun, pastDatasets } from '../dataset/decide-run.ts';
import { foldDataset } from '../dataset/fold-dataset.ts';
import { loadDataset, type TrainingSet } from '../dataset/load-dataset.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, DatasetRow } from '../db/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { Base } from '../model/base-package.ts';
import type { Mode, ModeCatalog } from '../modes/mode.ts';
import { UntrainableError } from '../training/core/untrainable-error.ts';
import { decideGate } from '../training/gate.ts';
import { recipeOf } from '../training/recipe.ts';
import type { runTrainer } from '../training/trainer.ts';
import type { TrainingProgress, TrainingResult } from '../training/training-job.ts';
import { checkpointDir, removeOldCheckpoints } from './old-checkpoints.ts';
import { type Claim, claimRun, endRun, handBack, nameDataset, reportProgress } from './run.ts';
import { newScratch } from './scratch.ts';

/** What a run works with. */
export interface RunDeps {
  readonly db: Db;
  readonly catalog: ModeCatalog;
  readonly store: AdapterStore;
  readonly base: Base;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Trainers write here before the store takes their files. */
  readonly workDir: string;
  readonly train: typeof runTrainer;
  /** Told of every adapter that became live, such as to warm the engine's cache. */
  onPublished(adapter: AdapterRow, figures: RunFigures): void;
  /** Aborts when the server shuts down: the run waits again. */
  readonly shutdown: AbortSignal;
}

/** What a run cost. */
export interface RunFigures {
  readonly runId: string;
  /** From the trainer's start to the gate's verdict. */
  readonly trainerMs: number;
}

/** Claims what is due for a (user, mode) and sees it through; does nothing when nothing is due.
 *  Throws what another try may mend, after the last try too; whatever else happens is written into the run. */
export async function runTraining(
  deps: RunDeps,
  key: { userId: string; mode: string },
  { isLast }: { isLast: boolean },
): Promise<void> {
  const claim = await claimRun(deps.db, key, now(deps));
  if (claim === null) return;
  const announce = () => {
    deps.wakeups.wake(runsTopic(claim.userId));
    // a run that was handed back waits for the relay again
    deps.wakeups.wake(OUTBOX_TOPIC);
  };
  announce();
  try {
    await work(deps, claim);
  } catch (error) {
    await conclude(deps, claim, { error, isLast });
  } finally {
    announce();
    await removeOldCheckpoints(deps.db, deps.workDir);
  }
}

async function work(deps: RunDeps, claim: Claim): Promise<void> {
  const mode = deps.catalog.mode(claim.mode);
  const past = await pastDatasets(deps.db, claim.userId, claim.mode);
  const dataset = await foldDataset(deps.db, claim.userId, mode, now(deps));
  await nameDataset(deps.db, claim, dataset.row.id);
  const { minHoldout } = mode.gate;
  const decision = decideRun(dataset, past, { minHoldout, forced: claim.forced });
  if (decision.kind === 'skip') {
    await endRun(deps.db, claim, { status: 'SKIPPED', reason: decision.reason, now: now(deps) });
    return;
  }
  const trainingSet = await loadDataset(deps.db, mode, dataset.row);
  // A change was folded in between: this run's data is old, and another run waits for the new
  if (trainingSet === null) return handBack(deps.db, claim, now(deps));
  await trainAndJudge(deps, claim, { mode, dataset: dataset.row, trainingSet });
}

/** What a run trains on. */
interface Material {
  readonly mode: Mode;
  readonly dataset: DatasetRow;
  readonly trainingSet: TrainingSet;
}

async function trainAndJudge(deps: RunDeps, claim: Claim, material: Material): Promise<void> {
  const live = await liveAdapter(deps.db, claim.userId, claim.mode);
  const scratch = await newScratch(deps.workDir);
  try {
    const startedAt = deps.clock.now();
    const result = await train(deps, claim, {
      ...material,
      live,
      outDir: join(scratch, 'adapter'),
    });
    const evaluation = decideGate(result.measures, {
      ...material.mode.gate,
      objective: material.mode.objective,
    });
    const figures = { runId: claim.runId, trainerMs: deps.clock.now() - startedAt };
    const candidate: Candidate = {
      sha256: tensorsOf(result).sha256,
      rank: material.mode.lora.rank,
      baseSha256: deps.base.sha256,
      datasetId: material.dataset.id,
      dataThrough: material.dataset.changeSeq,
      parentId: live?.id ?? null,
      evaluation,
    };
    if (!evaluation.passed) {
      await recordRejected(deps, claim, candidate);
      return;
    }
    const { files } = await deps.store.put(result.adapterDir);
    deps.onPublished(await publishAdapter(deps, claim, { ...candidate, files }), figures);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function tensorsOf({ files, adapterDir }: TrainingResult): { readonly sha256: string } {
  const tensors = files.find(({ name }) => name.endsWith('.safetensors'));
  if (tensors === undefined) throw new Error(`the trainer left no tensors in ${adapterDir}`);
  return tensors;
}

async function train(
  deps: RunDeps,
  claim: Claim,
  material: Material & { live: AdapterRow | null; outDir: string },
): Promise<TrainingResult> {
  const lost = new AbortController();
  const progress = reporter(deps, claim, (error) => lost.abort(error));
  const { mode, dataset, trainingSet, live, outDir } = material;
  const result = await deps.train(
    {
      baseDir: deps.base.dir,
      recipe: recipeOf(mode, deps.base.config),
      datasetSha256: dataset.sha256,
      examples: trainingSet.examples,
      preferences: trainingSet.preferences,
      liveAdapterDir: live === null ? null : deps.store.pathOf(live.sha256),
      outDir,
      checkpointDir: checkpointDir(deps.workDir, claim.runId),
    },
    { onProgress: progress.report, signal: AbortSignal.any([lost.signal, deps.shutdown]) },
  );
  await progress.written();
  return result;
}

/** Writes the newest progress, one write at a time; tells `onLost` when the claim is gone or cannot be written. */
function reporter(deps: RunDeps, claim: Claim, onLost: (error: unknown) => void) {
  const losses: number[] = [];
  let newest: TrainingProgress | null = null;
  let writing: Promise<void> | null = null;
  const write = async () => {
    while (newest !== null) {
      const { step, totalSteps } = newest;
      newest = null;
      const isHeld = await reportProgress(deps.db, claim, { step, totalSteps, losses });
      if (!isHeld) throw new ClaimLost(`run ${claim.runId} was cancelled or claimed again`);
      deps.wakeups.wake(runsTopic(claim.userId));
    }
  };
  return {
    report: (progress: TrainingProgress) => {
      losses.push(progress.loss);
      newest = progress;
      writing ??= write()
        .catch(onLost)
        .finally(() => {
          writing = null;
        });
    },
    written: async () => {
      await writing;
    },
  };
}

/** Writes the end that an error means, or throws it on for another try. */
async function conclude(
  deps: RunDeps,
  claim: Claim,
  { error, isLast }: { error: unknown; isLast: boolean },
): Promise<void> {
  if (error instanceof ClaimLost) return;
  if (deps.shutdown.aborted) return handBack(deps.db, claim, now(deps));
  // The adapter that the gate compared with was revoked or rolled back meanwhile: compare again
  if (error instanceof LiveAdapterChanged) return handBack(deps.db, claim, now(deps));
  const isFinal = error instanceof UntrainableError;
  if (isFinal || isLast) {
    const reason = error instanceof Error ? error.message : String(error);
    await endRun(deps.db, claim, { status: 'FAILED', reason, now: now(deps) });
  }
  if (!isFinal) throw error;
}

function now(deps: RunDeps): Date {
  return new Date(deps.clock.now());
}
