import { randomUUID } from 'node:crypto';
import type { ChangeInput } from '../../src/changes/change.ts';
import { registerDevice } from '../../src/changes/devices.ts';
import { type PushDeps, pushChanges } from '../../src/changes/push-changes.ts';
import { ensureUser } from '../../src/changes/users.ts';
import type { Db } from '../../src/db/database.ts';
import type { Json } from '../../src/lib/canonical-json.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { projectFile } from '../../src/lib/project-file.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import { loadCatalog } from '../../src/modes/catalog.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';

/** The shipped modes. */
export const loadShippedModes = (): Promise<ModeCatalog> => loadCatalog(projectFile('modes'));

/** The moment at which everything in these tests happens. */
export const NOW = new Date('2026-01-02T03:04:05Z');

/** A clock that stands at NOW. */
export const STOPPED: Clock = { now: () => NOW.getTime(), sleep: () => systemClock.sleep(0) };

/** What becomes of states that are replaced. */
export type Forgetting = Pick<PushDeps, 'onOverwrite' | 'onDelete'>;

/** For tests that look at nothing that was made of records. */
export const NO_FORGETTING: Forgetting = {
  onOverwrite: () => Promise.resolve(),
  onDelete: () => Promise.resolve(),
};

/** An upsert, or without data a delete. */
export interface TestChange {
  readonly source: string;
  readonly recordId: string;
  readonly data?: Json;
}

/** A new user with one phone that pushes changes. */
export interface TestUser {
  readonly id: string;
  /** Pushes the changes in one call; returns the user's changeSeq after them. */
  push(...changes: readonly TestChange[]): Promise<number>;
}

/** Makes a user of their own for a test. */
export async function newTestUser(
  db: Db,
  catalog: ModeCatalog,
  forgetting: Forgetting = NO_FORGETTING,
): Promise<TestUser> {
  const { id } = await ensureUser(db, `user-${randomUUID()}`, NOW);
  const device = { deviceId: 'phone', name: 'Phone', platform: 'test' };
  const deps: PushDeps = {
    db,
    catalog,
    wakeups: openLocalWakeups(),
    clock: STOPPED,
    ...forgetting,
  };
  await registerDevice(deps, id, device);
  let mutationId = 0;
  const push = async (...changes: readonly TestChange[]): Promise<number> => {
    const numbered = changes.map((change) => toInput(change, ++mutationId));
    const result = await pushChanges(deps, id, { deviceId: device.deviceId, changes: numbered });
    if (result.kind === 'gap') throw new Error(`gap at ${result.expectedMutationId}`);
    const refused = result.results.find(({ outcome }) => outcome !== 'APPLIED');
    if (refused !== undefined) throw new Error(`refused: ${refused.reason}`);
    return result.results.at(-1)?.changeSeq ?? 0;
  };
  return { id, push };
}

function toInput({ source, recordId, data }: TestChange, mutationId: number): ChangeInput {
  const kind = data === undefined ? 'DELETE' : 'UPSERT';
  return { mutationId, source, recordId, kind, data, occurredAt: NOW };
}
