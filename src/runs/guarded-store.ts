// Keeps adapters whose bytes are damaged or lost from being served: they are withdrawn, and trained anew.

import { revokeAdapters } from '../adapters/revoke.ts';
import type { AdapterStore } from '../adapters/store.ts';
import { queueRuns } from '../changes/queue-run.ts';
import type { Db } from '../db/database.ts';
import { lockUser } from '../db/user-row.ts';
import type { Clock } from '../lib/clock.ts';
import { feedTopic, OUTBOX_TOPIC, runsTopic, type Wakeups } from '../lib/wakeups.ts';

/** What the guard works with. */
export interface GuardDeps {
  readonly db: Db;
  readonly store: AdapterStore;
  readonly wakeups: Wakeups;
  readonly clock: Clock;
}

/** The same store, but an adapter that is found damaged or lost is withdrawn before `isServable` says so, and a
 *  run is queued where it was the live one. */
export function guardedStore(deps: GuardDeps): AdapterStore {
  const { store } = deps;
  return {
    ...store,
    isServable: async (name) => {
      if (await store.isServable(name)) return true;
      // a shipped adapter belongs to nobody and comes back whole at the next start
      if (name.userId !== null) await withdrawFrom(deps, name.userId, name.sha256);
      return false;
    },
  };
}

async function withdrawFrom(deps: GuardDeps, userId: string, sha256: string): Promise<void> {
  const now = new Date(deps.clock.now());
  await deps.db.transaction().execute(async (tx) => {
    await lockUser(tx, userId);
    const damaged = await tx
      .selectFrom('adapters')
      .select(['id', 'mode', 'status'])
      .where('userId', '=', userId)
      .where('sha256', '=', sha256)
      .execute();
    const ids = damaged.map(({ id }) => id);
    await revokeAdapters(tx, userId, ids, { reason: 'DAMAGED', now });
    const lost = damaged.filter(({ status }) => status === 'LIVE').map(({ mode }) => mode);
    await queueRuns(tx, userId, lost, { now, forced: true });
  });
  for (const topic of [feedTopic(userId), runsTopic(userId), OUTBOX_TOPIC])
    deps.wakeups.wake(topic);
}
