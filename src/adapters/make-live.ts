import type { Insertable } from 'kysely';
import type { Tx } from '../db/database.ts';
import type { AdapterRow, AdaptersTable } from '../db/schema.ts';
import { appendToFeed } from './feed-events.ts';

/** What an adapter is, apart from its place among the user's adapters. */
export type NewAdapter = Omit<
  Insertable<AdaptersTable>,
  'id' | 'seq' | 'version' | 'status' | 'userId'
> & { readonly userId: string };

/** Makes an adapter the live one of its user and mode: the next version, in place of the one before, announced in the
 *  feed. The caller holds the user's row. */
export async function makeLive(tx: Tx, adapter: NewAdapter): Promise<AdapterRow> {
  const { userId, mode } = adapter;
  await tx
    .updateTable('adapters')
    .set({ status: 'SUPERSEDED' })
    .where('userId', '=', userId)
    .where('mode', '=', mode)
    .where('status', '=', 'LIVE')
    .execute();
  const version = await nextVersion(tx, userId, mode);
  const row = await tx
    .insertInto('adapters')
    .values({ ...adapter, version, status: 'LIVE' })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendToFeed(tx, userId, [{ kind: 'READY', adapter: row, reason: null }], row.createdAt);
  return row;
}

async function nextVersion(tx: Tx, userId: string, mode: string): Promise<number> {
  const { version } = await tx
    .insertInto('modeStates')
    .values({ userId, mode, version: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(['userId', 'mode'])
        .doUpdateSet((eb) => ({ version: eb('modeStates.version', '+', 1) })),
    )
    .returning('version')
    .executeTakeFirstOrThrow();
  return version;
}
