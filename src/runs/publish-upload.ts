// An adapter that a device trained becomes the live one. The server has no data to judge it by: it holds the file against
// the mode and the base, measures what it does to the language, and trusts the device's own gate for the rest, which
// judges nobody's answers but its user's.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeLive } from '../adapters/make-live.ts';
import { writePeftFolder } from '../adapters/peft.ts';
import type { RegistryDeps } from '../adapters/publish.ts';
import { adapterById, liveAdapter } from '../adapters/registry.ts';
import type { AdapterStore } from '../adapters/store.ts';
import type { Upload, Uploads } from '../adapters/uploads.ts';
import type { Tx } from '../db/database.ts';
import type { Lineage } from '../db/lineage.ts';
import type { AdapterRow, Evaluation } from '../db/schema.ts';
import { keysOf } from '../db/sealed-columns.ts';
import { lockUser } from '../db/user-row.ts';
import type { Json } from '../lib/canonical-json.ts';
import { CODE_VERSION } from '../lib/code-version.ts';
import { AppError } from '../lib/errors.ts';
import { feedTopic } from '../lib/wakeups.ts';
import type { Base } from '../model/base/base-package.ts';
import type { Mode } from '../modes/mode.ts';
import type { PrivateFolder } from '../sealing/private-folder.ts';
import { isBelow } from '../training/core/compare-losses.ts';
import { type ProbeMeasure, probeObjection } from '../training/core/gate.ts';
import { type Recipe, recipeOf } from '../training/core/recipe.ts';
import type { ProbeJob } from '../training/probe-adapter.ts';
import { readUploadedAdapter } from './read-uploaded-adapter.ts';

/** What publishing an upload needs. */
export interface PublishUploadDeps extends RegistryDeps {
  readonly base: Base;
  readonly store: AdapterStore;
  readonly uploads: Uploads;
  /** Where adapters lie until they are in the store. */
  readonly workDir: string;
  /** Measures an adapter on the general probe. */
  probe(job: ProbeJob): Promise<ProbeMeasure>;
}

/** What a device says of its training. */
export interface UploadedTraining {
  readonly uploadId: string;
  readonly baseSha256: string;
  /** The live adapter that its gate compared with; null: none was live. */
  readonly parentId: string | null;
  readonly datasetSha256: string;
  /** Every change up to here was in the data; null where the records never leave the device. */
  readonly dataThrough: number | null;
  readonly steps: number;
  readonly examples: number;
  readonly holdoutExamples: number;
  readonly loss: number;
  readonly baseLoss: number;
  readonly previousLoss: number | null;
}

/** Publishes an upload as the next version of its mode. Safe to repeat: the same bytes on the same parent are published
 *  once. Throws NOT_FOUND without such an upload; BAD_INPUT for one that is not whole, is no adapter of this base and
 *  mode, or does not pass; CONFLICT where another adapter is live than the device compared with, or a live one that knows
 *  as much, or where a record was deleted since. */
export async function publishUpload(
  deps: PublishUploadDeps,
  userId: string,
  mode: Mode,
  training: UploadedTraining,
): Promise<AdapterRow> {
  const upload = await deps.uploads.find(userId, training.uploadId);
  if (upload === null || upload.mode !== mode.key)
    throw new AppError('NOT_FOUND', 'You have no such upload: begin again.', {
      reason: 'SEND_AGAIN',
    });
  const published = await publishedFrom(deps, upload, training);
  if (published !== null) return published;
  checkClaims(deps, mode, training);
  // before the work, for an answer at once; what counts is asked again in the transaction
  checkOrder(await liveAdapter(deps.db, userId, mode.key), training);
  await mkdir(deps.workDir, { recursive: true });
  const scratch = await mkdtemp(join(deps.workDir, 'upload-'));
  try {
    const { fileKeys: keys } = await keysOf(deps.db, userId);
    const seal = { place: `${userId} upload ${upload.id}`, keys };
    const folder = { dir: join(scratch, 'adapter'), seal };
    const row = await publish(deps, { userId, mode, training, upload }, folder);
    await deps.uploads.finish(userId, upload, row.id);
    deps.wakeups.wake(feedTopic(userId));
    deps.onLive?.(row);
    return row;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The adapter that was published from the upload on this very parent. */
async function publishedFrom(
  { db }: PublishUploadDeps,
  { adapterId }: Upload,
  { parentId }: UploadedTraining,
): Promise<AdapterRow | null> {
  const adapter = adapterId === null ? null : await adapterById(db, adapterId);
  return adapter?.parentId === parentId ? adapter : null;
}

/** Throws BAD_INPUT for what the device's own gate cannot have passed. */
function checkClaims({ base }: PublishUploadDeps, mode: Mode, training: UploadedTraining): void {
  const { baseSha256, holdoutExamples, loss, baseLoss, dataThrough } = training;
  const { trainsOn, gate } = mode;
  const isOwnOrder = (dataThrough === null) === (trainsOn === 'device');
  const flaws: readonly (readonly [isFlawed: boolean, what: string])[] = [
    [trainsOn === 'server', `devices do not train ${mode.key}`],
    [baseSha256 !== base.sha256, `the base is ${base.sha256}, not ${baseSha256}`],
    [!isOwnOrder, 'dataThrough belongs to modes whose records are sent, and to no others'],
    [holdoutExamples < gate.minHoldout, `the gate needs ${gate.minHoldout} held-out examples`],
    [!isBelow(loss, baseLoss), `held-out loss ${loss} is not below the base model's ${baseLoss}`],
  ];
  const flaw = flaws.find(([isFlawed]) => isFlawed);
  if (flaw !== undefined) throw new AppError('BAD_INPUT', `It cannot be published: ${flaw[1]}.`);
}

/** Throws CONFLICT unless the device's adapter comes after the live one: it was compared with it, and where records are
 *  sent it knows of later changes. Of two that know the same, the server's comes last: it has the records of all devices. */
function checkOrder(live: AdapterRow | null, { parentId, dataThrough }: UploadedTraining): void {
  if ((live?.id ?? null) !== parentId)
    throw new AppError('CONFLICT', 'Another adapter is live than the device compared with.');
  const known = live?.dataThrough ?? null;
  if (dataThrough !== null && known !== null && dataThrough <= known)
    throw new AppError('CONFLICT', `The live adapter knows every change up to ${known} already.`);
}

/** Throws CONFLICT when a record that it may have learnt from was deleted since. */
async function checkNothingDeleted(
  tx: Tx,
  userId: string,
  mode: Mode,
  { dataThrough }: UploadedTraining,
): Promise<void> {
  if (dataThrough === null) return;
  const deleted = await tx
    .selectFrom('records')
    .select('id')
    .where('userId', '=', userId)
    .where('source', 'in', mode.sources)
    .where('deleted', '=', true)
    .where('changeSeq', '>', dataThrough)
    .executeTakeFirst();
  if (deleted !== undefined)
    throw new AppError('CONFLICT', 'A record was deleted after it was trained: train again.');
}

interface Candidate {
  readonly userId: string;
  readonly mode: Mode;
  readonly training: UploadedTraining;
  readonly upload: Upload;
}

async function publish(
  deps: PublishUploadDeps,
  candidate: Candidate,
  folder: PrivateFolder,
): Promise<AdapterRow> {
  const { userId, mode, training, upload } = candidate;
  const { db, base, store, uploads } = deps;
  const recipe = recipeOf(mode, base.config);
  const adapter = readUploadedAdapter(await uploads.read(userId, upload), recipe.lora, base);
  const lineage = lineageOf(training, recipe);
  await writePeftFolder(folder, adapter, base, lineage);
  const { maxTokens } = recipe;
  const probe = await deps.probe({ baseDir: base.dir, adapterDir: folder, maxTokens });
  const objection = probeObjection(probe, mode.gate.probeMarginNats);
  if (objection !== null)
    throw new AppError('BAD_INPUT', `It did not pass the gate: ${objection}.`);
  const { sha256, files } = await store.put(folder, userId);
  return db.transaction().execute(async (tx) => {
    const user = await lockUser(tx, userId);
    if ((training.dataThrough ?? 0) > user.changeSeq)
      throw new AppError('BAD_INPUT', `You have no change ${training.dataThrough} yet.`);
    checkOrder(await liveAdapter(tx, userId, mode.key), training);
    await checkNothingDeleted(tx, userId, mode, training);
    const { parentId, dataThrough } = training;
    return makeLive(tx, {
      ...{ userId, mode: mode.key, origin: 'DEVICE', parentId, dataThrough, sha256 },
      ...{ rank: recipe.lora.rank, baseSha256: base.sha256 },
      ...{ datasetId: null, runId: null, startedFromId: null, onPolicyShare: null },
      files: JSON.stringify(files),
      evaluation: JSON.stringify(evaluationOf(training, probe)),
      lineage: JSON.stringify(lineage),
      createdAt: new Date(deps.clock.now()),
    });
  });
}

function lineageOf(training: UploadedTraining, recipe: Recipe): Lineage {
  const { datasetSha256, steps, examples, loss, baseLoss } = training;
  const unknown = { firstLoss: null, lastLoss: null, preferenceAccuracy: null };
  return {
    baseSha256: training.baseSha256,
    datasetSha256,
    parentSha256: null,
    recipe: { ...(recipe as unknown as { readonly [key: string]: Json }), precision: 'int8' },
    codeVersion: CODE_VERSION,
    figures: {
      steps,
      examples,
      preferences: 0,
      notes: {},
      ...unknown,
      holdoutLoss: loss,
      baseLoss,
    },
  };
}

function evaluationOf(training: UploadedTraining, probe: ProbeMeasure): Evaluation {
  const { holdoutExamples, loss, baseLoss, previousLoss } = training;
  return {
    ...{ holdoutExamples, loss, baseLoss, previousLoss, preferenceAccuracy: null },
    probeLoss: probe.candidate / probe.tokens,
    baseProbeLoss: probe.base / probe.tokens,
    passed: true,
    reason: `the device measured: held-out loss ${loss.toFixed(4)} is below the base model's ${baseLoss.toFixed(4)}`,
  };
}
