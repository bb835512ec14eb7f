// Training on this device: its own records into a dataset, the dataset and the base into an adapter, the adapter onto the
// shelf from which the next pass uploads it. Where it was stopped, the next call goes on.

import { datasetSha256, reduce } from '../dataset/core/reduce.ts';
import { Turns } from '../lib/turns.ts';
import { isDeviceTrainGraph } from '../model/device-graph-name.ts';
import { deviceExampleMaker } from '../modes/device-mode.ts';
import type { DeviceTraining as TrainingDefinition } from '../modes/device-training.ts';
import type { AdapterMessage, FileMessage } from '../sync/protocol.ts';
import type { StepReport } from '../training/core/train-loop.ts';
import { type DeviceTrainJob, deviceRunName } from '../training/core/train-on-device.ts';
import { adapterContent } from './adapter-files.ts';
import type { DeviceTrainer } from './device-trainer.ts';
import { fetchChecked } from './fetch-adapter.ts';
import { contentOf, type InstalledBase, installedBase, textsOf } from './installed-base.ts';
import type { KnownMode } from './known-modes.ts';
import { decodeLoopState, encodeLoopState } from './loop-state-file.ts';
import type { SyncParts } from './sync-parts.ts';
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

/** Everything that a run follows from. */
interface Plan {
  readonly trained: Trained;
  readonly known: KnownMode;
  readonly base: InstalledBase;
  readonly job: Pick<DeviceTrainJob, 'choices' | 'gate' | 'datasetSha256' | 'examples'>;
  readonly live: AdapterMessage | null;
  readonly shipped: AdapterMessage | null;
}

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
  train(mode: string, hooks: TrainHooks, signal: AbortSignal): Promise<TrainOutcome> {
    return this.#turns.take(async () => {
      signal.throwIfAborted();
      const plan = await this.#plan(mode);
      if (plan.job.examples.filter(isHeldOut).length < plan.job.gate.minHoldout)
        return { kind: 'skipped', reason: 'TOO_LITTLE_DATA' };
      const before = await this.#parts.trained.find(mode);
      if (before !== null && isSame(before, plan.trained) && before.status !== 'TRAINING')
        return { kind: 'skipped', reason: 'UNCHANGED' };
      await this.#parts.trained.write(plan.trained);
      return { kind: 'trained', trained: await this.#run(plan, hooks, signal) };
    });
  }

  async #plan(mode: string): Promise<Plan> {
    const { modes, records, shelf } = this.#parts;
    const known = await modes.find(mode);
    const training = known?.definition.training;
    if (known === null || training === undefined)
      throw new Error(`devices do not train the mode ${mode}, as far as this one knows`);
    const base = await installedBase(this.#parts.base);
    if (base === null) throw new Error('the base is not installed');
    const maker = deviceExampleMaker(known.definition, training);
    const dataThrough = training.where === 'device' ? null : await records.through();
    const made = reduce(maker, await records.read(training.sources));
    const examples = made.map(({ split, messages, target, sha256 }) => ({
      ...{ split, messages, target, sha256 },
    }));
    const hashes = examples.map(({ sha256 }) => sha256).join('\n');
    const job = {
      choices: { ...choicesOf(training), lora: known.definition.lora },
      gate: training.gate,
      datasetSha256: datasetSha256(hashes, ''),
      examples,
    };
    const held = (await shelf.read()).slots[mode]?.installed ?? null;
    const isOwn = held !== null && held.origin !== 'SHIPPED';
    const [live, shipped] = isOwn ? [held, null] : [null, held];
    const trained: Trained = {
      ...{ mode, status: 'TRAINING', reason: null, result: null, dataThrough },
      run: deviceRunName(base.sha256, job, shipped?.sha256 ?? null),
      parentId: live?.id ?? null,
      ...{ baseSha256: base.sha256, datasetSha256: job.datasetSha256 },
    };
    return { trained, known, base, job, live, shipped };
  }

  async #run(plan: Plan, hooks: TrainHooks, end: AbortSignal): Promise<Trained> {
    const { trained, job } = plan;
    const { trained: shelf, storage } = this.#parts;
    const signal = hooks.signal === undefined ? end : AbortSignal.any([hooks.signal, end]);
    const whole = await this.#jobOf(plan, signal);
    const result = await this.#trainer.train(
      { ...job, ...whole },
      {
        signal,
        onStep: (report) => hooks.onStep?.(report),
        onCheckpoint: (state) => this.#keep(checkpointFile(trained.run), encodeLoopState(state)),
      },
    );
    const { wire, verdict, losses, examples } = result;
    const sha256 = await sha256Of(wire);
    if (verdict.passed) await this.#keep(sha256, wire);
    const over: Trained = {
      ...trained,
      status: verdict.passed ? 'TRAINED' : 'REJECTED',
      reason: verdict.passed ? null : verdict.reason,
      result: { sha256, sizeBytes: wire.length, verdict, losses, examples },
    };
    await shelf.write(over);
    await storage.files.remove(checkpointFile(trained.run));
    return over;
  }

  async #jobOf(
    { known, base, live, shipped, trained }: Plan,
    signal: AbortSignal,
  ): Promise<Pick<DeviceTrainJob, 'base' | 'live' | 'shipped' | 'state'>> {
    const { storage } = this.#parts;
    const content = (adapter: AdapterMessage | null) =>
      adapter === null ? null : adapterContent(storage, adapter);
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
      live: await content(live),
      shipped: await content(shipped),
      state: hasState ? decodeLoopState(await storage.files.read(kept)) : null,
    };
  }

  async #fetched(file: FileMessage, signal: AbortSignal) {
    const flaw = await fetchChecked(this.#parts, file, signal);
    if (flaw !== null) throw new Error(flaw);
    return contentOf(this.#parts.storage, file);
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

/** Whether both say what the same data becomes beside the same live adapter. */
function isSame(a: Trained, b: Trained): boolean {
  return a.run === b.run && (a.parentId === b.parentId || a.status === 'PUBLISHED');
}

function choicesOf({ objective, recipe, incremental, preferences }: TrainingDefinition) {
  return { objective, training: recipe, incremental, preferences };
}

async function sha256Of(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
