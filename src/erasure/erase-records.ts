// The records of one source, or those from before some time, as if each had been deleted; with all that was made of them.

import { sql } from 'kysely';
import { removeRevokedBytes } from '../adapters/remove-revoked.ts';
import type { AdapterStore } from '../adapters/store.ts';
import type { RecordRef } from '../changes/core/record-ref.ts';
import { queueRuns } from '../changes/queue-run.ts';
import { isOneOf } from '../changes/record-ref.ts';
import type { Db, Tx } from '../db/database.ts';
import { lockUser, nextChangeSeq } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { toGlobalId } from '../lib/global-id.ts';
import { shown } from '../lib/shown.ts';
import { feedTopic, OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { ModeCatalog } from '../modes/mode.ts';
import type { Erasure } from './receipt.ts';

/** What erasing works with. */
export interface EraseRecordsDeps {
  readonly db: Db;
  readonly catalog: ModeCatalog;
  readonly store: AdapterStore;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  /** Withdraws what was learnt from records that are being deleted, in the same transaction. */
  onDelete(tx: Tx, userId: string, records: readonly RecordRef[]): Promise<void>;
}

/** Which records. */
export interface RecordScope {
  readonly source: string;
  /** Those that happened before; null: all. */
  readonly before: Date | null;
}

/** Records erased by one transaction: as many as one push may delete. */
const BATCH = 1_000;

/** Erases records with what was made of them: examples, answers, ratings, adapters. Modes that had learnt of them are
 *  trained anew. When it is interrupted, what was erased until then is; call it again for the rest.
 *  Throws BAD_INPUT for a source that there is not. */
export async function eraseRecords(
  deps: EraseRecordsDeps,
  userId: string,
  scope: RecordScope,
): Promise<Erasure> {
  const { db, catalog, clock, wakeups } = deps;
  if (!catalog.sources.includes(scope.source)) {
    const known = catalog.sources.join(', ');
    throw new AppError('BAD_INPUT', `source is ${shown(scope.source)}; known sources: ${known}.`);
  }
  const requestedAt = new Date(clock.now());
  const since = await latestFeedSeq(db, userId);
  let records = 0;
  for (let count = BATCH; count === BATCH; records += count)
    count = await db.transaction().execute((tx) => eraseSome(deps, tx, userId, scope));
  for (const topic of [OUTBOX_TOPIC, runsTopic(userId), feedTopic(userId)]) wakeups.wake(topic);
  const adapters = await revokedSince(db, userId, since);
  await removeRevokedBytes(deps, userId);
  return {
    scope: { kind: 'RECORDS', source: scope.source, before: scope.before?.toISOString() ?? null },
    user: toGlobalId('User', userId),
    requestedAt: requestedAt.toISOString(),
    completedAt: new Date(clock.now()).toISOString(),
    counts: { records },
    ...{ adapters, dataKeySha256: null },
  };
}

/** Returns how many records went: fewer than BATCH when none are left. */
async function eraseSome(
  { catalog, clock, onDelete }: EraseRecordsDeps,
  tx: Tx,
  userId: string,
  { source, before }: RecordScope,
): Promise<number> {
  await lockUser(tx, userId);
  const all = tx
    .selectFrom('records')
    .select(['source', 'recordId', 'changeSeq'])
    .where('userId', '=', userId)
    .where('source', '=', source)
    .where('deleted', '=', false);
  const wanted = before === null ? all : all.where('occurredAt', '<', before);
  const records = await wanted.orderBy('changeSeq').limit(BATCH).execute();
  if (records.length === 0) return 0;
  await onDelete(tx, userId, records);
  await tx
    .deleteFrom('recordLookups')
    .where('userId', '=', userId)
    .where(isOneOf(records))
    .execute();
  const firstSeq = await nextChangeSeq(tx, userId, records.length);
  const ids = records.map(({ recordId }) => recordId);
  // a place in the order for each, in the order that they had
  await sql`update records
    set data = null, deleted = true, change_seq = ${firstSeq - 1}::int + v.place::int
    from unnest(${ids}::text[]) with ordinality as v(id, place)
    where records.user_id = ${userId} and records.source = ${source} and records.record_id = v.id`.execute(
    tx,
  );
  const modes = catalog.modesOf(source).map(({ key }) => key);
  await queueRuns(tx, userId, modes, { now: new Date(clock.now()) });
  return records.length;
}

async function latestFeedSeq(db: Db, userId: string): Promise<number> {
  const user = db.selectFrom('users').select('feedSeq').where('id', '=', userId);
  return (await user.executeTakeFirstOrThrow()).feedSeq;
}

async function revokedSince(db: Db, userId: string, seq: number): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('feedEvents')
    .innerJoin('adapters', 'adapters.id', 'feedEvents.adapterId')
    .select('adapters.sha256')
    .where('feedEvents.userId', '=', userId)
    .where('feedEvents.seq', '>', seq)
    .where('feedEvents.reason', '=', 'DATA_DELETED')
    .orderBy('feedEvents.seq')
    .execute();
  return [...new Set(rows.map(({ sha256 }) => sha256))];
}
