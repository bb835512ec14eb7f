import { randomUUID } from 'node:crypto';
import type { Lineage } from '../../src/adapters/lineage.ts';
import { type Candidate, publishAdapter, type RegistryDeps } from '../../src/adapters/publish.ts';
import { liveAdapter } from '../../src/adapters/registry.ts';
import type { AdapterStore } from '../../src/adapters/store.ts';
import { ensureUser } from '../../src/changes/users.ts';
import type { Database } from '../../src/db/database.ts';
import type { AdapterRow, Evaluation, StoredFile } from '../../src/db/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';

export const passed: Evaluation = {
  holdoutExamples: 12,
  loss: 1.5,
  baseLoss: 2.5,
  previousLoss: null,
  preferenceAccuracy: null,
  probeLoss: null,
  baseProbeLoss: null,
  passed: true,
  reason: 'better than the base',
};

export const LINEAGE: Lineage = {
  baseSha256: sha256('base'),
  datasetSha256: sha256('dataset'),
  parentSha256: null,
  recipe: { rank: 8 },
  codeVersion: '0.1.0',
  figures: {
    ...{ steps: 9, examples: 28, preferences: 0, notes: {}, firstLoss: 3, lastLoss: 1 },
    ...{ holdoutLoss: 1.5, baseLoss: 2.5, preferenceAccuracy: null },
  },
};

/** Files as the store describes them, of made-up bytes. */
export function filesOf(content: string): readonly StoredFile[] {
  return ['adapter_config.json', 'adapter_model.safetensors'].map((name) => ({
    name,
    sizeBytes: content.length,
    sha256: sha256(`${name} ${content}`),
  }));
}

export function candidateOf(content: string, rest: Partial<Candidate> = {}) {
  return {
    sha256: sha256(`adapter_model.safetensors ${content}`),
    files: filesOf(content),
    rank: 8,
    baseSha256: sha256('base'),
    datasetId: randomUUID(),
    dataThrough: 3,
    parentId: null,
    startedFromId: null,
    onPolicyShare: null,
    lineage: LINEAGE,
    evaluation: passed,
    ...rest,
  };
}

/** A store in which every adapter is whole. */
export const fullStore: AdapterStore = {
  put: () => Promise.reject(new Error('nothing is put in this test')),
  pathOf: ({ sha256: name }) => `/nowhere/${name}`,
  folderOf: ({ sha256: name }) => Promise.resolve({ dir: `/nowhere/${name}` }),
  remove: () => Promise.resolve(),
  reseal: () => Promise.resolve(),
  removeAll: () => Promise.resolve(),
  takeCopy: () => Promise.reject(new Error('nothing is copied in this test')),
  plainNames: () => Promise.resolve([]),
  copies: () => Promise.resolve([]),
  dropCopy: () => Promise.resolve(),
  isIntact: () => Promise.resolve(true),
  isServable: () => Promise.resolve(true),
  isWhole: () => Promise.resolve(true),
};

/** A user, and shorthands to run and publish for it. */
export async function newTrainee(database: Database) {
  const db = database.kysely;
  const deps: RegistryDeps & { store: AdapterStore } = {
    db,
    wakeups: openLocalWakeups(),
    clock: systemClock,
    store: fullStore,
  };
  const { id: userId } = await ensureUser(db, randomUUID(), new Date());

  const startRun = async (mode = 'subject') => {
    const run = { userId, mode, status: 'RUNNING' as const, forced: false, losses: '[]' };
    const { id } = await db
      .insertInto('runs')
      .values({ ...run, attempt: 1, queuedAt: new Date() })
      .returning('id')
      .executeTakeFirstOrThrow();
    return { runId: id, attempt: 1, userId, mode };
  };

  /** Trains and publishes in place of whatever is live. */
  const publish = async (content: string, mode = 'subject'): Promise<AdapterRow> => {
    const parentId = (await liveAdapter(db, userId, mode))?.id ?? null;
    return publishAdapter(deps, await startRun(mode), candidateOf(content, { parentId }));
  };

  return { db, deps, userId, startRun, publish };
}

/** Publishes stored bytes as the next adapter of the mode (`subject`) of the user of that name. */
export async function publishTo(
  database: Database,
  deps: RegistryDeps,
  { subject, mode = 'subject' }: { readonly subject: string; readonly mode?: string },
  put: (
    userId: string,
  ) => Promise<{ readonly sha256: string; readonly files: readonly StoredFile[] }>,
): Promise<AdapterRow> {
  const db = database.kysely;
  const { id: userId } = await ensureUser(db, subject, new Date());
  const run = { userId, mode, status: 'RUNNING' as const, forced: false, losses: '[]' };
  const { id: runId } = await db
    .insertInto('runs')
    .values({ ...run, attempt: 1, queuedAt: new Date() })
    .returning('id')
    .executeTakeFirstOrThrow();
  const parentId = (await liveAdapter(db, userId, mode))?.id ?? null;
  const candidate = { ...candidateOf('', { parentId }), ...(await put(userId)) };
  return publishAdapter(deps, { runId, attempt: 1, userId, mode }, candidate);
}
