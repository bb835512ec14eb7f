import { publishAdapter } from '../../src/adapters/publish.ts';
import { liveAdapter } from '../../src/adapters/registry.ts';
import { revokeAdapters } from '../../src/adapters/revoke.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import type { Database } from '../../src/db/database.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { acknowledgeAdapter } from '../../src/sync/acknowledge.ts';
import { readCursorSecret } from '../../src/sync/cursor.ts';
import { type FeedEvent, readFeed } from '../../src/sync/feed.ts';
import { candidateOf, newTrainee } from '../adapters/fixture.ts';
import { handClock } from '../support/clocks/hand-clock.ts';

/** A user with a phone and a feed. */
export async function newSubscriber(database: Database) {
  const trainee = await newTrainee(database);
  const { db, userId } = trainee;
  const catalog = { modes: ['subject', 'reply', 'continue'].map((key) => ({ key })) };
  const deps = { ...trainee.deps, cursorSecret: await readCursorSecret(db), catalog };
  const deviceId = 'phone';
  await registerDevice(deps, userId, { deviceId, name: 'Phone', platform: 'test' });
  return {
    ...trainee,
    deps,
    deviceId,
    read: (after: string | null, first = 100) => readFeed(deps, userId, after, first),
    readAt: (now: number, after: string | null) =>
      readFeed({ ...deps, clock: handClock(now) }, userId, after, 100),
    publishAt: async (now: number, content: string, mode: string) => {
      const parentId = (await liveAdapter(db, userId, mode))?.id ?? null;
      const then = { ...deps, clock: handClock(now) };
      return publishAdapter(then, await trainee.startRun(mode), candidateOf(content, { parentId }));
    },
    acknowledgeAs: (
      device: string,
      clock: Clock,
      adapterId: string,
      state: 'INSTALLED' | 'REMOVED',
    ) => acknowledgeAdapter({ ...deps, clock }, userId, { deviceId: device, adapterId, state }),
    acknowledge: (adapterId: string, state: 'INSTALLED' | 'REMOVED' | 'FAILED') =>
      acknowledgeAdapter(deps, userId, { deviceId, adapterId, state }),
    revoke: (...ids: string[]) =>
      db
        .transaction()
        .execute((tx) =>
          revokeAdapters(tx, userId, ids, { reason: 'DATA_DELETED', now: new Date() }),
        ),
  };
}

/** An event as a line: what happened to which adapter. */
export function lineOf(event: FeedEvent): string {
  return event.kind === 'ready'
    ? `ready ${event.adapter.mode} ${event.adapter.version}`
    : `revoked ${event.modeKey} ${event.reason}`;
}
