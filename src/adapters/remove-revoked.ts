// The bytes of revoked adapters leave the disk: nothing answers with them, nobody may download them, no rollback brings them
// back. The rows stay, for devices that have yet to hear of it.

import type { Db } from '../db/database.ts';
import { lockUser } from '../db/user-row.ts';
import type { AdapterStore } from './store.ts';

/** What removing works with. */
export interface RemoveDeps {
  readonly db: Db;
  readonly store: AdapterStore;
}

/** Removes the files of every revoked adapter, of all users or of one; returns how many folders went. Files that another
 *  version of the same user still needs stay. */
export async function removeRevokedBytes(deps: RemoveDeps, userId?: string): Promise<number> {
  const waiting = deps.db
    .selectFrom('adapters')
    .innerJoin('users', 'users.id', 'adapters.userId')
    .select('users.id')
    .distinct()
    .where('adapters.status', '=', 'REVOKED')
    .where('adapters.bytesGone', '=', false)
    // the files of an erased user go with all that is theirs
    .where('users.erasedAt', 'is', null);
  const users = await (userId === undefined
    ? waiting
    : waiting.where('users.id', '=', userId)
  ).execute();
  let count = 0;
  for (const { id } of users) count += await removeOf(deps, id);
  return count;
}

/** Under the user's lock: nothing is published or rolled back to meanwhile, which may have the same bytes. */
function removeOf({ db, store }: RemoveDeps, userId: string): Promise<number> {
  return db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    const rows = await tx
      .selectFrom('adapters')
      .select(['sha256', 'status'])
      .where('userId', '=', userId)
      .where('bytesGone', '=', false)
      .where('status', '!=', 'REJECTED')
      .execute();
    const needed = new Set(rows.flatMap((row) => (row.status === 'REVOKED' ? [] : row.sha256)));
    const revoked = new Set(rows.flatMap((row) => (row.status === 'REVOKED' ? row.sha256 : [])));
    const unneeded = [...revoked].filter((sha256) => !needed.has(sha256));
    for (const sha256 of unneeded) await store.remove({ userId, sha256 });
    await tx
      .updateTable('adapters')
      .set({ bytesGone: true })
      .where('userId', '=', userId)
      .where('status', '=', 'REVOKED')
      .where('bytesGone', '=', false)
      .execute();
    return unneeded.length;
  });
}
