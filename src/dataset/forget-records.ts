// What a delete takes with it. An adapter cannot unlearn one record, so every adapter that saw it is withdrawn at once;
// the next dataset is made without it, and the rebuild starts from the base. Old states of the record count as well.

import { sql } from 'kysely';
import { revokeAdapters } from '../adapters/revoke.ts';
import { queueRuns } from '../changes/queue-run.ts';
import { isOneOf, type RecordRef } from '../changes/record-ref.ts';
import type { Tx } from '../db/database.ts';
import type { Clock } from '../lib/clock.ts';
import type { ModeCatalog } from '../modes/mode.ts';
import { inputKey } from '../modes/prompt.ts';
import { draftsOf } from './example.ts';

/** What forgetting needs. */
export interface ForgetDeps {
  readonly catalog: ModeCatalog;
  readonly clock: Clock;
}

/** A mode's input by its `inputKey`. */
interface InputRef {
  readonly mode: string;
  readonly inputSha256: string;
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
  const inputs = [...(await learntInputs(scope)), ...(await currentInputs(deps, scope))];
  const touchedModes = await modesHolding(scope);
  const tainted = await adaptersHolding(scope);
  const ids = tainted.map(({ id }) => id);
  await revokeAdapters(tx, userId, ids, { reason: 'DATA_DELETED', now });
  await eraseFeedback(scope, inputs);
  await eraseExamples(scope);
  await cancelRuns(scope, touchedModes, now);
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

/** Versions of examples that hold content of the records. */
function versionsHolding({ tx, userId, refs }: Scope) {
  return tx
    .selectFrom('exampleRecords as held')
    .innerJoin('examples as e', 'e.id', 'held.exampleId')
    .where('held.userId', '=', userId)
    .where(isOneOf({ source: 'held.source', recordId: 'held.recordId' }, refs));
}

/** A dataset contains the versions that were alive when it was folded, and an adapter what its dataset contains. */
function adaptersHolding(scope: Scope) {
  return versionsHolding(scope)
    .innerJoin('datasets as d', (join) =>
      join
        .onRef('d.mode', '=', 'e.mode')
        .onRef('d.changeSeq', '>=', 'e.fromSeq')
        .on(sql<boolean>`(e.until_seq is null or d.change_seq < e.until_seq)`)
        .on('d.userId', '=', scope.userId),
    )
    .innerJoin('adapters as a', 'a.datasetId', 'd.id')
    .where('a.userId', '=', scope.userId)
    .select(['a.id', 'a.mode', 'a.status'])
    .distinct()
    .execute();
}

async function modesHolding(scope: Scope): Promise<readonly string[]> {
  const rows = await versionsHolding(scope).select('e.mode').distinct().execute();
  return rows.map(({ mode }) => mode);
}

/** The inputs of all examples that were ever made from the records. */
function learntInputs({ tx, userId, refs }: Scope): Promise<readonly InputRef[]> {
  return tx
    .selectFrom('examples')
    .select(['mode', 'inputSha256'])
    .distinct()
    .where('userId', '=', userId)
    .where(isOneOf({ source: 'source', recordId: 'recordId' }, refs))
    .execute();
}

/** The inputs of the examples that the records would give now, folded or not. */
async function currentInputs(
  { catalog }: ForgetDeps,
  { tx, userId, refs }: Scope,
): Promise<readonly InputRef[]> {
  const records = await tx
    .selectFrom('records')
    .select(['source', 'recordId', 'data'])
    .where('userId', '=', userId)
    .where('deleted', '=', false)
    .where(isOneOf({ source: 'source', recordId: 'recordId' }, refs))
    .execute();
  return catalog.modes.flatMap((mode) =>
    records
      .flatMap((record) => draftsOf(mode, record))
      .map(({ input }) => ({ mode: mode.key, inputSha256: inputKey(input) })),
  );
}

/** Erases the completions of these inputs and those whose prompt showed a record, and all preferences about them. */
async function eraseFeedback(scope: Scope, inputs: readonly InputRef[]): Promise<void> {
  const { tx, userId, refs } = scope;
  const showing = await tx
    .selectFrom('completionRecords as shown')
    .innerJoin('completions as c', 'c.id', 'shown.completionId')
    .select(['c.mode', 'c.inputSha256'])
    .where('shown.userId', '=', userId)
    .where(isOneOf({ source: 'shown.source', recordId: 'shown.recordId' }, refs))
    .execute();
  // an answer to the same prompt may have been preferred to one that showed the record
  const erased = [...inputs, ...showing].filter(({ inputSha256 }) => inputSha256 !== '');
  if (erased.length === 0) return;
  const pairs = JSON.stringify(erased.map(({ mode, inputSha256 }) => [mode, inputSha256]));
  const isErased = sql<boolean>`(mode, input_sha256) in
    (select pair->>0, pair->>1 from jsonb_array_elements(${pairs}::jsonb) as erased(pair))`;
  await tx.deleteFrom('preferences').where('userId', '=', userId).where(isErased).execute();
  await tx
    .updateTable('completions')
    .set({ input: null, context: null, inputSha256: '', text: '', better: null })
    .where('userId', '=', userId)
    .where(isErased)
    .execute();
}

/** The versions stay as proof of what older datasets contained; the next fold ends those that are alive. */
async function eraseExamples(scope: Scope): Promise<void> {
  await scope.tx
    .updateTable('examples')
    .set({ messages: null, target: null, sha256: '', inputSha256: '' })
    .where('id', 'in', versionsHolding(scope).select('e.id'))
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
