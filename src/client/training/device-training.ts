// Training on this device: its own records into a dataset, the dataset and the base into an adapter, the adapter onto the
// shelf from which the next pass uploads it. Where it was stopped, the next call goes on.

import { must } from '../../lib/errors.ts';
import { Turns } from '../../lib/turns.ts';
import { isDeviceTrainGraph } from '../../model/decode/device-graph-name.ts';
import type { AdapterMessage, FileMessage } from '../../sync/protocol.ts';
import type { StepReport } from '../../training/core/train-loop.ts';
import type { DeviceTrainJob, DeviceTrainResult } from '../../training/core/train-on-device.ts';
import { contentOf, textsOf } from '../answers/installed-base.ts';
import type { Ends } from '../answers/local-answers.ts';
import { bytesSha256 } from '../storage/bytes-sha256.ts';
import { adapterContent, keptFiles } from '../sync/adapter-files.ts';
import { fetchAdapter, fetchChecked } from '../sync/fetch-adapter.ts';
import type { SyncParts } from '../sync/sync-parts.ts';
import type { DeviceTrainer } from './device-trainer.ts';
import { decodeLoopState, encodeLoopState } from './loop-state-file.ts';
import { fromScratch, type Plan, planTraining } from './plan-training.ts';
import { checkpointFile, type Trained } from './trained.ts';

/** How a training is watched and stopped. */
export interface TrainHooks {
  onStep?(report: StepReport): void;
  /** Stops it; what was done is kept, and the next call goes on from there. */
  readonly signal?: AbortSignal;
}

/** How a call ended: what became of the training, or why there was none. */
export type TrainOutcome =
  | { readonly kind: 'trained'; readonly trained: Trained }
  | { readonly kind: 'skipped'; readonly reason: 'TOO_LITTLE_DATA' | 'UNCHANGED' };

const DELETED = 'a record that it learns from was deleted meanwhile: train again';

/** Trains this device's modes, one at a time. */
export class DeviceTraining {
  readonly #parts: SyncParts;
  readonly #trainer: DeviceTrainer;
  readonly #turns = new Turns();

  constructor(parts: SyncParts, trainer: DeviceTrainer) {
    this.#parts = parts;
    this.#trainer = trainer;
  }

  /** Trains the mode on this device's records. Throws Error where the mode or the base does not allow it, ApiError when a
   *  file has to be fetched and cannot, UntrainableError, and the signal's reason. */
  train(mode: string, hooks: TrainHooks, ends: Ends): Promise<TrainOutcome> {
    return this.#turns.take(async () => {
      ends.device.throwIfAborted();
      const plan = await planTraining(this.#parts, mode, ends.cloud);
      if (plan.job.examples.filter(isHeldOut).length < plan.job.gate.minHoldout)
        return { kind: 'skipped', reason: 'TOO_LITTLE_DATA' };
      const before = await this.#parts.trained.find(mode);
      if (before !== null && isDone(before, plan.trained))
        return { kind: 'skipped', reason: 'UNCHANGED' };
      // what went on from the live adapter has not passed, and the run from scratch was stopped
      const again = fromScratch(plan);
      const isSecond = before?.status === 'TRAINING' && before.run === again.trained.run;
      const run = this.#run(isSecond ? again : plan, hooks, ends);
      return { kind: 'trained', trained: await run };
    });
  }

  /** What goes on from the live adapter and does not pass is trained from scratch at once. */
  async #run(plan: Plan, hooks: TrainHooks, ends: Ends): Promise<Trained> {
    const { learnt, records, trained: shelf, storage } = this.#parts;
    const { trained } = plan;
    await learnt.exclusively(async () => {
      if (!(await records.haveAll(trained.records))) throw new Error(DELETED);
      await shelf.write(trained);
    });
    const { wire, verdict, losses, examples } = await this.#train(plan, hooks, ends);
    if (!verdict.passed && plan.warm !== null) return this.#run(fromScratch(plan), hooks, ends);
    const sha256 = await bytesSha256(wire);
    const status = verdict.passed ? 'TRAINED' : 'REJECTED';
    const reason = verdict.passed ? null : verdict.reason;
    const result = { sha256, sizeBytes: wire.length, verdict, losses, examples };
    const over: Trained = { ...trained, status, reason, result };
    await learnt.exclusively(async () => {
      if (!(await shelf.isCurrent(trained))) throw new Error(DELETED);
      if (verdict.passed) await this.#keep(sha256, wire);
      await shelf.write(over, verdict.passed ? await learnt.noting(over, sha256) : []);
    });
    await storage.files.remove(checkpointFile(trained.run));
    return over;
  }

  async #train(plan: Plan, hooks: TrainHooks, ends: Ends): Promise<DeviceTrainResult> {
    const signal = AbortSignal.any([ends.device, ...(hooks.signal ? [hooks.signal] : [])]);
    return this.#trainer.train(
      { ...plan.job, ...(await this.#jobOf(plan, signal)) },
      {
        signal,
        onStep: (report) => hooks.onStep?.(report),
        onCheckpoint: (state) =>
          this.#keep(checkpointFile(plan.trained.run), encodeLoopState(state)),
      },
    );
  }

  async #jobOf(
    { known, base, live, shipped, trained, warm }: Plan,
    signal: AbortSignal,
  ): Promise<Pick<DeviceTrainJob, 'base' | 'live' | 'shipped' | 'state' | 'warmStart'>> {
    const { storage } = this.#parts;
    const content = (adapter: AdapterMessage | null) =>
      adapter === null ? null : adapterContent(storage, adapter);
    if (shipped !== null) await this.#fetchShipped(shipped, signal);
    const graph = async (name: 'prefix' | 'step' | 'score') => {
      const file = known.trainingFiles.find((one) => isDeviceTrainGraph(one.name, name));
      return file === undefined ? {} : { [name]: await this.#fetched(file, signal) };
    };
    const kept = checkpointFile(trained.run);
    const hasState = (await storage.files.size(kept)) !== null;
    return {
      base: {
        sha256: base.sha256,
        weights: { name: base.weights.sha256, content: await contentOf(storage, base.weights) },
        graphs: { ...(await graph('prefix')), ...(await graph('step')), ...(await graph('score')) },
        ...(await textsOf(storage, base)),
      },
      live: await content(live ?? shipped),
      shipped: await content(shipped),
      warmStart: warm && {
        ...{ learnt: warm.learnt, datasetSha256: warm.datasetSha256 },
        adapter: must(await content(live), 'it goes on from the adapter in use'),
        sha256: must(live, 'the adapter in use').sha256,
      },
      state: hasState ? decodeLoopState(await storage.files.read(kept)) : null,
    };
  }

  async #fetched(file: FileMessage, signal: AbortSignal) {
    const flaw = await fetchChecked(this.#parts, file, signal);
    if (flaw !== null) throw new Error(flaw);
    return contentOf(this.#parts.storage, file);
  }

  /** What ships is on the disk already where it answers. */
  async #fetchShipped(shipped: AdapterMessage, signal: AbortSignal): Promise<void> {
    const { files } = this.#parts.storage;
    const sizes = keptFiles(shipped.files).map(({ sha256 }) => files.size(sha256));
    if (!(await Promise.all(sizes)).includes(null)) return;
    const flaw = await fetchAdapter(this.#parts, shipped, signal);
    if (flaw !== null) throw new Error(`what ships with the mode cannot be used: ${flaw}`);
  }

  /** Puts bytes into a file, whole or not at all. */
  async #keep(name: string, bytes: Uint8Array): Promise<void> {
    const { files } = this.#parts.storage;
    const part = `${name}.part`;
    await files.remove(part);
    await files.append(part, bytes);
    await files.rename(part, name);
  }
}

function isHeldOut({ split }: { readonly split: string }): boolean {
  return split === 'holdout';
}

/** Whether the same data was trained on beside the same live adapter, or became it. */
function isDone(before: Trained, planned: Trained): boolean {
  const { recipe, datasetSha256 } = planned.lesson;
  if (before.status === 'TRAINING') return false;
  if (before.lesson.recipe !== recipe || before.lesson.datasetSha256 !== datasetSha256)
    return false;
  if (before.status === 'PUBLISHED') return true;
  const hasSameStart = before.lesson.shippedSha256 === planned.lesson.shippedSha256;
  return before.parentId === planned.parentId && hasSameStart;
}
