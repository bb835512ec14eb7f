// Everything that a training on this device follows from: the records as examples, the adapter in use, and where the run
// begins, by the rules of the server's runs (src/runs/plan-run.ts).

import { changedShare } from '../../dataset/core/changed-share.ts';
import { datasetSha256 } from '../../dataset/core/dataset-name.ts';
import { reduce } from '../../dataset/core/reduce.ts';
import { canonicalJson, type Json } from '../../lib/canonical-json.ts';
import { deviceExampleMaker } from '../../modes/device-mode.ts';
import type { DeviceTraining as TrainingDefinition } from '../../modes/device-training.ts';
import type { AdapterMessage } from '../../sync/protocol.ts';
import { type DeviceTrainJob, deviceRunName } from '../../training/core/train-on-device.ts';
import { type InstalledBase, installedBase } from '../answers/installed-base.ts';
import type { KnownMode } from '../answers/known-modes.ts';
import { keptFiles } from '../sync/adapter-files.ts';
import type { SyncParts } from '../sync/sync-parts.ts';
import { dropDeletedElsewhere } from './deleted-elsewhere.ts';
import type { NewestRun } from './learnt.ts';
import { recordName } from './local-records.ts';
import type { Trained } from './trained.ts';

/** What a run is made from. */
export interface Plan {
  readonly trained: Trained;
  readonly known: KnownMode;
  readonly base: InstalledBase;
  readonly job: Pick<DeviceTrainJob, 'choices' | 'gate' | 'datasetSha256' | 'examples'>;
  /** The user's own. */
  readonly live: AdapterMessage | null;
  /** What ships with the mode; its files need not be here. */
  readonly shipped: AdapterMessage | null;
  /** The training that it goes on from, which made the live adapter; null: it begins from scratch. */
  readonly warm: NewestRun | null;
}

/** Plans the mode's next run. Throws Error where the mode or the base does not allow it; ApiError where the server must be
 *  asked first what was deleted elsewhere, and cannot be reached. */
export async function planTraining(
  parts: SyncParts,
  mode: string,
  signal: AbortSignal,
): Promise<Plan> {
  const { modes, records, shelf, learnt } = parts;
  const known = await modes.find(mode);
  const training = known?.definition.training;
  if (known === null || training === undefined)
    throw new Error(`devices do not train the mode ${mode}, as far as this one knows`);
  const base = await installedBase(parts.base);
  if (base === null) throw new Error('the base is not installed');
  const dataThrough = training.where === 'device' ? null : await records.through();
  if (training.where === 'both') await dropDeletedElsewhere(parts, training.sources, signal);
  const kept = await records.read(training.sources);
  const examples = reduce(deviceExampleMaker(known.definition, training), kept).map(
    ({ split, messages, target, sha256 }) => ({ split, messages, target, sha256 }),
  );
  const hashes = examples.map(({ sha256 }) => sha256);
  const job = {
    choices: { ...choicesOf(training), lora: known.definition.lora },
    gate: training.gate,
    datasetSha256: datasetSha256(examples, []),
    examples,
  };
  const { slots, shipped: ships } = await shelf.read();
  const held = slots[mode]?.installed ?? null;
  const live = held === null || held.origin === 'SHIPPED' ? null : held;
  const shipped = ships[mode]?.base.sha256 === base.sha256 ? ships[mode] : null;
  const recipe = canonicalJson([base.sha256, job.choices as unknown as Json]);
  const newest = await learnt.newest(mode);
  const goesOn =
    newest !== null &&
    newest.adapterId === live?.id &&
    newest.recipe === recipe &&
    newest.shippedSha256 === (shipped?.sha256 ?? null) &&
    changedShare(new Set(newest.rootLearnt), new Set(hashes)) <= training.incremental.rebuildShare;
  const plan = {
    ...{ known, base, job, live, shipped },
    warm: goesOn ? newest : null,
    lesson: {
      ...{ recipe, datasetSha256: job.datasetSha256, learnt: hashes, rootLearnt: hashes },
      shippedSha256: shipped?.sha256 ?? null,
    },
    waiting: { mode, dataThrough, records: kept.map(recordName) },
  };
  return withRun(plan);
}

/** The plan of the same run from scratch. */
export function fromScratch(plan: Plan): Plan {
  const { mode, dataThrough, records, lesson } = plan.trained;
  const again = { ...lesson, rootLearnt: lesson.learnt };
  return withRun({ ...plan, warm: null, lesson: again, waiting: { mode, dataThrough, records } });
}

function withRun({
  lesson,
  waiting,
  ...plan
}: Omit<Plan, 'trained'> &
  Pick<Trained, 'lesson'> & {
    readonly waiting: Pick<Trained, 'mode' | 'dataThrough' | 'records'>;
  }): Plan {
  const { base, job, live, shipped, warm } = plan;
  const start = warm && { sha256: live?.sha256 ?? '', datasetSha256: warm.datasetSha256 };
  const trained: Trained = {
    ...{ ...waiting, status: 'TRAINING', reason: null, result: null },
    run: deviceRunName(base.sha256, job, { shippedSha256: shipped?.sha256 ?? null, warm: start }),
    parentId: live?.id ?? null,
    startedFromId: warm?.adapterId ?? null,
    shippedFiles: keptFiles(shipped?.files ?? []).map(({ sha256 }) => sha256),
    lesson: { ...lesson, rootLearnt: warm?.rootLearnt ?? lesson.rootLearnt },
    ...{ baseSha256: base.sha256, datasetSha256: job.datasetSha256 },
  };
  return { ...plan, trained };
}

function choicesOf({ objective, recipe, incremental, preferences }: TrainingDefinition) {
  return { objective, training: recipe, incremental, preferences };
}
