import type { AdapterRow, Evaluation } from '../db/schema.ts';
import { lockUser } from '../db/user-row.ts';
import { AppError } from '../lib/errors.ts';
import { feedTopic } from '../lib/wakeups.ts';
import { makeLive } from './make-live.ts';
import { LiveAdapterChanged, type RegistryDeps } from './publish.ts';
import { liveAdapter } from './registry.ts';
import { type RevocationReason, revokeAdapters } from './revoke.ts';
import type { AdapterStore } from './store.ts';

/** Why a version goes live again without its user's asking. */
export interface RollbackCause {
  /** The version that must be live still. */
  readonly replacing: string;
  /** What devices are told. */
  readonly reason: RevocationReason;
  /** What people read: the reason in the new version's evaluation. */
  readonly explanation: string;
}

/** Publishes the bytes of an earlier version of the user's as the next version, and revokes the one it replaces.
 *  The new version's parent is the earlier one; run, dataset and evaluation are that one's.
 *  Throws NOT_FOUND for an id that is none of the user's, CONFLICT for a version that cannot go live again, and
 *  LiveAdapterChanged when another version is live than the one to replace. */
export async function rollbackAdapter(
  deps: RegistryDeps & { readonly store: AdapterStore },
  userId: string,
  adapterId: string,
  cause?: RollbackCause,
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
    if (cause !== undefined && replaced?.id !== cause.replacing)
      throw new LiveAdapterChanged(`another version of ${earlier.mode} is live already`);
    const reason = cause?.reason ?? 'ROLLED_BACK';
    await revokeAdapters(tx, userId, replaced ? [replaced.id] : [], { reason, now });
    const { id: _, seq: __, version: ___, status: ____, ...same } = earlier;
    return makeLive(tx, {
      ...same,
      userId,
      origin: 'ROLLBACK',
      parentId: earlier.id,
      files: JSON.stringify(earlier.files),
      evaluation: earlier.evaluation && JSON.stringify(explained(earlier.evaluation, cause)),
      lineage: earlier.lineage && JSON.stringify(earlier.lineage),
      createdAt: now,
    });
  });
  deps.wakeups.wake(feedTopic(userId));
  deps.onLive?.(adapter);
  return adapter;
}

function explained(evaluation: Evaluation, cause: RollbackCause | undefined): Evaluation {
  return cause === undefined ? evaluation : { ...evaluation, reason: cause.explanation };
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

async function checkIntact(store: AdapterStore, adapter: AdapterRow) {
  if (await store.isIntact(adapter)) return;
  const { mode, version } = adapter;
  throw new Error(
    `the files of version ${version} of ${mode} are missing or damaged: ${store.pathOf(adapter)}`,
  );
}
