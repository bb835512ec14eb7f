import type { AdapterRow } from '../db/schema.ts';
import { lockUser } from '../db/user-row.ts';
import { AppError } from '../lib/errors.ts';
import { feedTopic } from '../lib/wakeups.ts';
import { makeLive } from './make-live.ts';
import type { RegistryDeps } from './publish.ts';
import { liveAdapter } from './registry.ts';
import { revokeAdapters } from './revoke.ts';
import type { AdapterStore } from './store.ts';

/** Publishes the bytes of an earlier version of the user's as the next version, and revokes the one it replaces.
 *  The new version's parent is the earlier one; run, dataset and evaluation are that one's.
 *  Throws NOT_FOUND for an id that is none of the user's, CONFLICT for a version that cannot go live again. */
export async function rollbackAdapter(
  deps: RegistryDeps & { readonly store: AdapterStore },
  userId: string,
  adapterId: string,
): Promise<AdapterRow> {
  const now = new Date(deps.clock.now());
  const adapter = await deps.db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    const earlier = await tx
      .selectFrom('adapters')
      .selectAll()
      .where('userId', '=', userId)
      .where('id', '=', adapterId)
      .executeTakeFirst();
    if (earlier === undefined) throw new AppError('NOT_FOUND', 'You have no adapter with this id.');
    checkCanReturn(earlier);
    await checkIntact(deps.store, earlier);
    const replaced = await liveAdapter(tx, userId, earlier.mode);
    await revokeAdapters(tx, userId, replaced ? [replaced.id] : [], { reason: 'ROLLED_BACK', now });
    const { id: _, seq: __, version: ___, status: ____, ...same } = earlier;
    return makeLive(tx, {
      ...same,
      userId,
      origin: 'ROLLBACK',
      parentId: earlier.id,
      files: JSON.stringify(earlier.files),
      evaluation: earlier.evaluation && JSON.stringify(earlier.evaluation),
      createdAt: now,
    });
  });
  deps.wakeups.wake(feedTopic(userId));
  return adapter;
}

/** Why a version in this status cannot go live again; null when it can. */
const OBSTACLES: Readonly<Record<AdapterRow['status'], string | null>> = {
  SUPERSEDED: null,
  LIVE: 'it is the live one',
  REJECTED: 'it did not pass the gate',
  REVOKED: 'it was revoked',
};

function checkCanReturn({ mode, version, status }: AdapterRow): void {
  const obstacle = OBSTACLES[status];
  if (obstacle === null) return;
  throw new AppError(
    'CONFLICT',
    `Version ${version} of ${mode} cannot be published again: ${obstacle}.`,
  );
}

async function checkIntact(store: AdapterStore, { mode, version, sha256 }: AdapterRow) {
  if (await store.isIntact(sha256)) return;
  throw new Error(
    `the files of version ${version} of ${mode} are missing or damaged: ${store.pathOf(sha256)}`,
  );
}
