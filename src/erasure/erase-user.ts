// A user and all that is theirs, gone for good. One transaction takes the rows; what lies outside of the database goes after
// it, and is looked for again until it is gone. What stays for a while is an id, and the revocations that devices on open
// sockets have yet to hear.

import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { revokeAdapters } from '../adapters/revoke.ts';
import type { AdapterStore } from '../adapters/store.ts';
import type { Uploads } from '../adapters/uploads.ts';
import type { RevokedDevices } from '../changes/revoked-devices.ts';
import type { Db, Tx } from '../db/database.ts';
import type { UserRow } from '../db/schema.ts';
import { vaultOf } from '../db/sealed-columns.ts';
import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { toGlobalId } from '../lib/global-id.ts';
import { feedTopic, runsTopic, type Wakeups } from '../lib/wakeups.ts';
import type { ErasedCounts, Erasure } from './receipt.ts';

/** What erasing works with. */
export interface EraseUserDeps {
  readonly db: Db;
  readonly store: AdapterStore;
  readonly uploads: Pick<Uploads, 'removeAll'>;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
  readonly revokedDevices: RevokedDevices;
}

/** Erases the user; resolves when nothing of theirs can be read any more. Who comes again with the same name begins anew.
 *  Throws UNAUTHENTICATED when the user was erased already. */
export async function eraseUser(deps: EraseUserDeps, userId: string): Promise<Erasure> {
  const { db, clock, wakeups, revokedDevices } = deps;
  const now = new Date(clock.now());
  const { counts, adapters } = await db.transaction().execute((tx) => eraseRows(tx, userId, now));
  for (const topic of [feedTopic(userId), runsTopic(userId)]) wakeups.wake(topic);
  await revokedDevices.tellErased();
  const dataKeySha256 = await removeRemains(deps, userId);
  return {
    scope: { kind: 'VIEWER' },
    user: toGlobalId('User', userId),
    requestedAt: now.toISOString(),
    completedAt: new Date(clock.now()).toISOString(),
    ...{ counts, adapters, dataKeySha256 },
  };
}

/** Destroys the keys and the files of an erased user; what is gone already is no error. */
async function removeRemains(
  { db, store, uploads }: Pick<EraseUserDeps, 'db' | 'store' | 'uploads'>,
  userId: string,
): Promise<string | null> {
  const dataKeySha256 = await vaultOf(db).destroy(userId);
  await store.removeAll(userId);
  await uploads.removeAll(userId);
  return dataKeySha256;
}

/** How long the id of an erased user stays, for sockets that are open still. */
const REMAINS_MS = 60 * 60 * 1000;

/** Goes on with erasures that a killed server has left half done, and forgets the ids of the older ones. */
export async function finishErasures(
  deps: Pick<EraseUserDeps, 'db' | 'store' | 'uploads' | 'clock'>,
): Promise<void> {
  const { db, clock } = deps;
  const erased = await db
    .selectFrom('users')
    .select(['id', 'erasedAt'])
    .where('erasedAt', 'is not', null)
    .execute();
  for (const { id, erasedAt } of erased) {
    await removeRemains(deps, id);
    if (erasedAt === null || erasedAt.getTime() > clock.now() - REMAINS_MS) continue;
    await db.transaction().execute(async (tx) => {
      await tx.deleteFrom('feedEvents').where('userId', '=', id).execute();
      await tx.deleteFrom('revokedDevices').where('userId', '=', id).execute();
      await tx.deleteFrom('users').where('id', '=', id).execute();
    });
  }
}

/** Erases again whom an older copy of the database has brought back: users without keys, since those were destroyed. Nobody
 *  can read what is theirs. Returns how many they were. Throws Error when nobody has keys: then they lie elsewhere. */
export async function eraseAgain(db: Db, now: Date): Promise<number> {
  const withKeys = new Set(await vaultOf(db).userIds());
  const users = db.selectFrom('users').select('id').where('erasedAt', 'is', null);
  const ids = (await users.execute()).map(({ id }) => id);
  const erased = ids.filter((id) => !withKeys.has(id));
  if (erased.length > 0 && erased.length === ids.length)
    throw new Error(
      `the keys folder has keys of none of the ${ids.length} users: name the right one`,
    );
  for (const id of erased) await db.transaction().execute((tx) => eraseRows(tx, id, now));
  return erased.length;
}

async function hasRevokedDevices(db: Db, userId: string): Promise<boolean> {
  const device = db.selectFrom('revokedDevices').select('seq').where('userId', '=', userId);
  return (await device.limit(1).executeTakeFirst()) !== undefined;
}

async function eraseRows(
  tx: Tx,
  userId: string,
  now: Date,
): Promise<{ readonly counts: ErasedCounts; readonly adapters: readonly string[] }> {
  const user = await lockUser(tx, userId);
  const adapters = await tx
    .selectFrom('adapters')
    .select(['id', 'sha256'])
    .where('userId', '=', userId)
    .where('status', '!=', 'REJECTED')
    .orderBy('seq')
    .execute();
  const ids = adapters.map(({ id }) => id);
  await revokeAdapters(tx, userId, ids, { reason: 'USER_ERASED', now });
  await tx
    .deleteFrom('feedEvents')
    .where('userId', '=', userId)
    .where('kind', '=', 'READY')
    .execute();
  const counts = await deleteOwn(tx, userId);
  await tx
    .updateTable('users')
    .set({ subject: null, erasedAt: now })
    .where('id', '=', userId)
    .execute();
  // only a user whose lost devices must stay locked out needs a successor already
  if (await hasRevokedDevices(tx, userId)) await beginAnew(tx, user, now);
  return { counts, adapters: [...new Set(adapters.map(({ sha256 }) => sha256))] };
}

/** Tables with rows of a user, each after those that refer to it. */
const OWN_TABLES = [
  ...['completionRecords', 'preferences', 'completions'],
  ...[
    'exampleRecords',
    'exampleLookups',
    'examples',
    'exampleBuckets',
    'pastInputs',
    'datasets',
    'modeStates',
    'runs',
  ],
  ...['heldAdapters', 'adapters', 'pushes', 'devices', 'recordLookups', 'records'],
] as const;

async function deleteOwn(tx: Tx, userId: string): Promise<ErasedCounts> {
  const counts: Record<string, number> = {};
  for (const table of OWN_TABLES) {
    const query = sql`delete from ${sql.table(table)} where user_id = ${userId}`;
    const { numAffectedRows } = await query.execute(tx);
    counts[table] = Number(numAffectedRows ?? 0);
  }
  return counts;
}

/** The same name under a new id, from which the lost devices stay locked out: their tokens are as good as before. */
async function beginAnew(tx: Tx, { id: userId, subject }: UserRow, now: Date): Promise<void> {
  const successor = randomUUID();
  // first the keys: a user without them could keep nothing
  await vaultOf(tx).create(successor);
  const row = { id: successor, subject, feedEpoch: randomUUID(), createdAt: now };
  await tx.insertInto('users').values(row).execute();
  await tx
    .updateTable('revokedDevices')
    .set({ userId: successor })
    .where('userId', '=', userId)
    .execute();
}
