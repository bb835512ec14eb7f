// What a delete takes with it. An adapter cannot unlearn one record, so every adapter that saw it is withdrawn at once;
// the next dataset is made without it, and the rebuild starts from the base. Old states of the record count as well, folded or
// not.

import { type Selectable, sql } from 'kysely';
import { revokeAdapters } from '../adapters/revoke.ts';
import { liveRecords } from '../changes/context.ts';
import { type RecordRef, refName } from '../changes/core/record-ref.ts';
import { queueRuns } from '../changes/queue-run.ts';
import { isIdOf, isOneOf } from '../changes/record-ref.ts';
import type { Tx } from '../db/database.ts';
import type { ExamplesTable } from '../db/dataset-tables.ts';
import { countForgetting } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import type { ModeCatalog } from '../modes/mode.ts';
import { dropAllBuckets } from './example-buckets.ts';
import { versionsHolding } from './example-versions.ts';
import { type InputRef, inputsMadeOf, takePastInputs } from './past-inputs.ts';

/** What forgetting needs. */
export interface ForgetDeps {
  readonly catalog: ModeCatalog;
  readonly clock: Clock;
}

/** Withdraws all that was made from records that are being deleted: adapters, runs on their way, texts of examples,
 *  completions and preferences. Runs in the deleting transaction, which holds the user's lock, while the records still
 *  have their data. */
export async function forgetRecords(
  deps: ForgetDeps,
  tx: Tx,
  userId: string,
  refs: readonly RecordRef[],
): Promise<void> {
  const now = new Date(deps.clock.now());
  const scope = { tx, userId, refs };
  await countForgetting(tx, userId);
  const versions = await findVersions(scope);
  const own = await currentInputs(deps, scope);
  const past = await takePastInputs(tx, userId, refs);
  const inputs = [...own, ...past, ...madeFrom(refs, versions), ...(await inputsShowing(scope))];
  const pairs = await preferencesAbout(scope, inputs);
  const tainted = await adaptersHolding(deps, scope, [...versions, ...pairs]);
  const ids = tainted.map(({ id }) => id);
  await revokeAdapters(tx, userId, ids, { reason: 'DATA_DELETED', now });
  await eraseFeedback(scope, inputs);
  await eraseExamples(scope, versions);
  const held = [...versions, ...pairs].map(({ mode }) => mode);
  await cancelRuns(scope, [...new Set(held)], now);
  const bereft = tainted.filter(({ status }) => status === 'LIVE').map(({ mode }) => mode);
  const served = deps.catalog.modes.map(({ key }) => key).filter((key) => bereft.includes(key));
  // forced: without the withdrawn adapter even an unchanged dataset deserves another verdict
  await queueRuns(tx, userId, served, { now, forced: true });
}

interface Scope {
  readonly tx: Tx;
  readonly userId: string;
  readonly refs: readonly RecordRef[];
}

/** A version of an example that holds content of a record: made from it, or showing it. */
type Version = Pick<
  Selectable<ExamplesTable>,
  'id' | 'mode' | 'source' | 'recordId' | 'inputSha256' | 'fromSeq' | 'untilSeq'
>;

/** When something was part of a mode's dataset. */
type Lifetime = Pick<Version, 'mode' | 'fromSeq' | 'untilSeq'>;

async function findVersions({ tx, userId, refs }: Scope): Promise<readonly Version[]> {
  return tx
    .selectFrom('examples')
    .select(['id', 'mode', 'source', 'recordId', 'inputSha256', 'fromSeq', 'untilSeq'])
    .where(isIdOf('id', await versionsHolding(tx, userId, refs)))
    .execute();
}

/** Those versions that were made from the records, the others just show them. */
function madeFrom(refs: readonly RecordRef[], versions: readonly Version[]): readonly Version[] {
  const names = new Set(refs.map(refName));
  return versions.filter((version) => names.has(refName(version)));
}

/** All pairs that ratings of answers to these inputs ever made. */
async function preferencesAbout(
  { tx, userId }: Scope,
  inputs: readonly InputRef[],
): Promise<readonly Lifetime[]> {
  const rows = await tx
    .selectFrom('preferences')
    .select(['mode', 'changeSeq as fromSeq', 'untilSeq', 'inputSha256'])
    .where('userId', '=', userId)
    .where(
      sql<boolean>`input_sha256 = any(${inputs.map(({ inputSha256 }) => inputSha256)}::text[])`,
    )
    .execute();
  return rows.filter((row) =>
    inputs.some(({ mode, inputSha256 }) => mode === row.mode && inputSha256 === row.inputSha256),
  );
}

/** A dataset contains what was alive when it was folded; an adapter holds what its dataset contains, and what the adapter
 *  holds that its training began from. What a device trained names no dataset here: it may hold any record of the
 *  mode's sources. */
async function adaptersHolding(
  { catalog }: ForgetDeps,
  { tx, userId, refs }: Scope,
  parts: readonly Lifetime[],
) {
  const fed = new Set(refs.flatMap(({ source }) => catalog.modesOf(source).map(({ key }) => key)));
  const adapters = await tx
    .selectFrom('adapters')
    .leftJoin('datasets', 'datasets.id', 'adapters.datasetId')
    .select(['adapters.id', 'adapters.mode', 'adapters.status', 'adapters.startedFromId'])
    .select(['adapters.datasetId', 'datasets.changeSeq'])
    .where('adapters.userId', '=', userId)
    .where('adapters.status', '!=', 'REJECTED')
    .orderBy('adapters.seq')
    .execute();
  const holding = new Set<string>();
  // oldest first: what an adapter began from is known before it
  for (const { id, mode, datasetId, changeSeq, startedFromId } of adapters) {
    const learnt = parts.some(
      (part) =>
        part.mode === mode &&
        changeSeq !== null &&
        part.fromSeq <= changeSeq &&
        changeSeq < (part.untilSeq ?? Number.POSITIVE_INFINITY),
    );
    const mayHold = datasetId === null && fed.has(mode);
    if (learnt || mayHold || holding.has(startedFromId ?? '')) holding.add(id);
  }
  return adapters.filter(({ id, status }) => holding.has(id) && status !== 'REVOKED');
}

/** The inputs that the records make now, folded or not. */
async function currentInputs(
  { catalog }: ForgetDeps,
  { tx, userId, refs }: Scope,
): Promise<readonly InputRef[]> {
  return inputsMadeOf(catalog, tx, userId, await liveRecords(tx, userId, refs));
}

/** Erases the completions of these inputs, and all preferences about them. */
async function eraseFeedback({ tx, userId }: Scope, erased: readonly InputRef[]): Promise<void> {
  for (const mode of new Set(erased.map((input) => input.mode))) {
    const hashes = erased.filter((input) => input.mode === mode).map((input) => input.inputSha256);
    // the empty hash is that of what was erased before
    const isErased = sql<boolean>`mode = ${mode} and input_sha256 = any(${hashes}::text[])
      and input_sha256 <> ''`;
    await tx.deleteFrom('preferences').where('userId', '=', userId).where(isErased).execute();
    await tx
      .updateTable('completions')
      .set({ input: null, context: null, inputSha256: '', text: null, better: null })
      .where('userId', '=', userId)
      .where(isErased)
      .execute();
  }
}

/** Inputs of answers whose prompt showed a record. Inputs, not only those answers: another answer to the same input may
 *  have been preferred to one of them. */
async function inputsShowing({ tx, userId, refs }: Scope): Promise<readonly InputRef[]> {
  const shown = await tx
    .selectFrom('completionRecords')
    .select('completionId')
    .where('userId', '=', userId)
    .where(isOneOf(refs))
    .execute();
  const ids = shown.map(({ completionId }) => completionId);
  return tx
    .selectFrom('completions')
    .select(['mode', 'inputSha256'])
    .where(isIdOf('id', ids))
    .execute();
}

/** The versions stay as proof of what older datasets contained; the next fold ends those that are alive. */
async function eraseExamples({ tx, userId }: Scope, versions: readonly Version[]): Promise<void> {
  await dropAllBuckets(tx, userId, [...new Set(versions.map(({ mode }) => mode))]);
  const ids = versions.map(({ id }) => id);
  await tx
    .updateTable('examples')
    .set({ messages: null, target: null, sha256: '', inputSha256: '' })
    .where(isIdOf('id', ids))
    .execute();
}

async function cancelRuns(
  { tx, userId }: Scope,
  modes: readonly string[],
  now: Date,
): Promise<void> {
  if (modes.length === 0) return;
  await tx
    .updateTable('runs')
    .set({ status: 'CANCELLED', reason: 'DATA_DELETED', finishedAt: now })
    .where('userId', '=', userId)
    .where('mode', 'in', modes)
    .where('status', '=', 'RUNNING')
    .execute();
}
