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
import { liveAdapter, shippedAdapters } from '../adapters/registry.ts';
import type { AdapterStore } from '../adapters/store.ts';
import { pastDatasets, suffices } from '../dataset/decide-run.ts';
import { foldDataset } from '../dataset/fold-dataset.ts';
import { loadDataset, type TrainingSet } from '../dataset/load-dataset.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, DatasetRow } from '../db/schema.ts';
import { keysOf } from '../db/sealed-columns.ts';
import type { Clock } from '../lib/clock.ts';
import { must } from '../lib/errors.ts';
import { traced } from '../lib/trace.ts';
import { OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { Base } from '../model/base/base-package.ts';
import type { Mode, ModeCatalog } from '../modes/mode.ts';
import type { FolderSeal, PrivateFolder } from '../sealing/private-folder.ts';
import { decideGate } from '../training/core/gate.ts';
import { type Recipe, recipeOf } from '../training/core/recipe.ts';
import { UntrainableError } from '../training/core/untrainable-error.ts';
import type { runTrainer } from '../training/trainer.ts';
import type { StartingPoint, TrainingResult, WarmStart } from '../training/training-job.ts';
import { checkpointDir, removeOldCheckpoints } from './old-checkpoints.ts';
import { onPolicyShare } from './on-policy-share.ts';
import { isOutage } from './outage.ts';
import { planRun, type RunPlan } from './plan-run.ts';
import { NewerData, progressWriter } from './progress.ts';
import { type Claim, claimRun, endRun, handBack, NEWER_DATA, nameDataset } from './run.ts';
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
  /** Told of every adapter that became live, such as to warm the engine's cache; waited for. */
  onPublished(adapter: AdapterRow, figures: RunFigures): unknown;
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
  const { runId, userId, mode, attempt, trace: parent = null } = claim;
  const ids = { runId, userId, mode, attempt };
  await traced('run', { ids, parent }, () => runClaimed(deps, claim, isLast));
}

async function runClaimed(deps: RunDeps, claim: Claim, isLast: boolean): Promise<void> {
  const announce = () => {
    deps.wakeups.wake(runsTopic(claim.userId));
    // a run that was handed back waits for the relay again
    deps.wakeups.wake(OUTBOX_TOPIC);
  };
  announce();
  try {
    await work(deps, claim);
  } catch (error) {
    await endWith(deps, claim, { error, isLast });
  } finally {
    announce();
    await removeOldCheckpoints(deps.db, deps.workDir);
  }
}

async function work(deps: RunDeps, claim: Claim): Promise<void> {
  const mode = deps.catalog.mode(claim.mode);
  const { learnt, judged } = await pastDatasets(deps.db, claim.userId, claim.mode);
  const dataset = await traced('fold', {}, () =>
    foldDataset(deps.db, claim.userId, mode, now(deps)),
  );
  await nameDataset(deps.db, claim, dataset.id);
  const skip = async (reason: 'TOO_LITTLE_DATA' | 'UNCHANGED') => {
    await endRun(deps.db, claim, { status: 'SKIPPED', reason, now: now(deps) });
  };
  if (!claim.forced && [learnt, judged].includes(dataset.sha256)) return skip('UNCHANGED');
  const trainingSet = await loadDataset(deps.db, mode, dataset);
  // A change was folded in between: this run's data is old, and another run waits for the new
  if (trainingSet === null) return handBack(deps.db, claim, now(deps));
  const { objective, gate } = mode;
  const { minHoldout } = gate;
  if (!suffices(trainingSet, { objective, minHoldout })) return skip('TOO_LITTLE_DATA');
  await trainAndJudge(deps, claim, { mode, dataset, trainingSet });
}

/** What a run trains on. */
interface Material {
  readonly mode: Mode;
  readonly dataset: DatasetRow;
  readonly trainingSet: TrainingSet;
}

async function trainAndJudge(deps: RunDeps, claim: Claim, material: Material): Promise<void> {
  const before = await adaptersBefore(deps, claim);
  const scratch = await newScratch(deps.workDir);
  try {
    const { mode, trainingSet, dataset } = material;
    const recipe = recipeOf(mode, deps.base.config);
    const { incremental } = mode;
    const { forced, userId } = claim;
    const facts = { ...before, dataset, recipe, incremental, forced };
    const plan = await planRun(deps.db, facts);
    const { fileKeys: keys } = await keysOf(deps.db, userId);
    const seal = { place: `${userId} run ${claim.runId}`, keys };
    const attempt = { ...material, ...before, recipe, scratch, seal };
    const first = await trainAs(deps, claim, { ...attempt, plan });
    const isDone = first.evaluation.passed || plan.kind === 'rebuild';
    const made = isDone
      ? first
      : await trainAs(deps, claim, {
          ...attempt,
          plan: { kind: 'rebuild', reason: 'GATE_FAILED' },
        });
    const current = before.live ?? before.shipped;
    const share = recipe.dpo && (await onPolicyShare(deps.db, userId, trainingSet, current));
    await conclude(deps, claim, { ...made, onPolicyShare: share ?? null });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What answers for the user when the run begins. */
async function adaptersBefore({ db, base, store }: RunDeps, { userId, mode }: Claim) {
  const [shipped = null] = await shippedAdapters(db, base.sha256, [mode]);
  const live = await liveAdapter(db, userId, mode);
  return { live: await ifServable(store, live), shipped };
}

/** The trainer reads its files; a damaged one is withdrawn by the asking. */
async function ifServable(
  store: AdapterStore,
  adapter: AdapterRow | null,
): Promise<AdapterRow | null> {
  return adapter !== null && (await store.isServable(adapter)) ? adapter : null;
}

/** A candidate, where its files are, and what it cost. */
interface Made extends Omit<Candidate, 'onPolicyShare'> {
  readonly adapterDir: PrivateFolder;
  readonly trainerMs: number;
}

async function trainAs(deps: RunDeps, claim: Claim, attempt: Attempt): Promise<Made> {
  const startedAt = deps.clock.now();
  const { mode, dataset, live, shipped, plan } = attempt;
  const result = await traced('train', {}, () => train(deps, claim, attempt));
  const start = plan.kind === 'warm' ? plan.from : shipped;
  return {
    adapterDir: { dir: result.adapterDir, seal: attempt.seal },
    trainerMs: deps.clock.now() - startedAt,
    sha256: tensorsOf(result).sha256,
    rank: result.rank,
    baseSha256: deps.base.sha256,
    datasetId: dataset.id,
    dataThrough: dataset.changeSeq,
    parentId: live?.id ?? null,
    startedFromId: start?.id ?? null,
    lineage: result.lineage,
    evaluation: decideGate(result.measures, { ...mode.gate, objective: mode.objective }),
  };
}

/** Publishes what passed the gate, records what did not. */
async function conclude(
  deps: RunDeps,
  claim: Claim,
  { adapterDir, trainerMs, ...candidate }: Made & Candidate,
): Promise<void> {
  if (!candidate.evaluation.passed) {
    await recordRejected(deps, claim, candidate);
    return;
  }
  const { userId } = claim;
  const { sha256 } = candidate;
  const adapter = await traced('publish', { ids: { adapter: sha256 } }, async () => {
    const { files } = await traced('store', {}, () => deps.store.put(adapterDir, userId));
    const isStored = () => deps.store.isIntact({ userId, sha256 });
    return publishAdapter(deps, claim, { ...candidate, files }, isStored);
  });
  await deps.onPublished(adapter, { runId: claim.runId, trainerMs });
}

function tensorsOf({ files, adapterDir }: TrainingResult): { readonly sha256: string } {
  const tensors = files.find(({ name }) => name.endsWith('.safetensors'));
  if (tensors === undefined) throw new Error(`the trainer left no tensors in ${adapterDir}`);
  return tensors;
}

/** One training of a run. */
interface Attempt extends Material {
  readonly recipe: Recipe;
  readonly live: AdapterRow | null;
  readonly shipped: AdapterRow | null;
  readonly plan: RunPlan;
  readonly scratch: string;
  /** Of what its trainer leaves on the disk. */
  readonly seal: FolderSeal;
}

async function train(deps: RunDeps, claim: Claim, attempt: Attempt): Promise<TrainingResult> {
  const { mode, dataset, trainingSet, live, shipped, plan } = attempt;
  const compared = live ?? shipped;
  const lost = new AbortController();
  const isSecond = plan.kind === 'rebuild' && plan.reason === 'GATE_FAILED';
  const progress = progressWriter({
    ...{ db: deps.db, wakeups: deps.wakeups, claim, mode },
    dataThrough: isSecond ? null : dataset.changeSeq,
    onLost: (error) => lost.abort(error),
  });
  const result = await deps.train(
    {
      baseDir: deps.base.dir,
      recipe: attempt.recipe,
      datasetSha256: dataset.sha256,
      examples: trainingSet.examples,
      preferences: trainingSet.preferences,
      thumbs: trainingSet.thumbs,
      shipped: shipped === null ? undefined : await pointOf(deps, shipped),
      warmStart: plan.kind === 'warm' ? await warmStartOf(deps, plan) : undefined,
      liveAdapterDir: compared && (await deps.store.folderOf(compared)),
      outDir: join(attempt.scratch, plan.kind),
      checkpointDir: checkpointDir(deps.workDir, claim.runId),
      seal: attempt.seal,
    },
    { onProgress: progress.report, signal: AbortSignal.any([lost.signal, deps.shutdown]) },
  );
  await progress.written();
  return result;
}

async function warmStartOf(
  deps: RunDeps,
  { from, learnt }: RunPlan & { kind: 'warm' },
): Promise<WarmStart> {
  const { datasetSha256 } = must(from.lineage, 'a start has a lineage');
  return { ...(await pointOf(deps, from)), datasetSha256, learnt: [...learnt] };
}

async function pointOf(deps: RunDeps, adapter: AdapterRow): Promise<StartingPoint> {
  return { adapterDir: await deps.store.folderOf(adapter), sha256: adapter.sha256 };
}

/** Writes the end that an error means, or throws it on for another try. */
async function endWith(
  deps: RunDeps,
  claim: Claim,
  { error, isLast }: { error: unknown; isLast: boolean },
): Promise<void> {
  if (error instanceof ClaimLost) return;
  if (deps.shutdown.aborted) return handBack(deps.db, claim, now(deps));
  if (error instanceof NewerData) return handBack(deps.db, claim, now(deps), NEWER_DATA);
  // The adapter that the gate compared with was revoked or rolled back meanwhile: compare again
  if (error instanceof LiveAdapterChanged) return handBack(deps.db, claim, now(deps));
  // the run stays as it is, and the relay has it tried again: an outage is nobody's failure
  if (isOutage(error)) throw error;
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
