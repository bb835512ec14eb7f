import { liveAdapter } from '../../src/adapters/registry.ts';
import { openAdapterStore } from '../../src/adapters/store.ts';
import type { Database } from '../../src/db/database.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { openLocalWakeups } from '../../src/lib/wakeups.ts';
import type { ModeCatalog } from '../../src/modes/mode.ts';
import { type RunDeps, runTraining } from '../../src/runs/run-training.ts';
import { FAKE_BASE } from '../support/api/api-server.ts';
import { sampleMail } from '../support/mailbox.ts';
import { loadShippedModes, STOPPED, type TestChange } from '../support/test-user.ts';
import { pretendToTrain } from '../support/training/pretend-trainer.ts';
import { World } from '../support/world.ts';

/** One shipped mode that is quickly trained on the tiny base. */
export async function briefCatalog(key: string): Promise<ModeCatalog> {
  const shipped = await loadShippedModes();
  const mode = {
    ...shipped.mode(key),
    training: { learningRate: 0.002, epochs: 1, batchSize: 4, maxTokens: 64 },
  };
  return { ...shipped, modes: [mode], mode: () => mode };
}

/** A user with enough mails to train on, whose changes have asked for a run. */
export async function newTrainee(
  database: Database,
  options: {
    readonly catalog: ModeCatalog;
    readonly mode: string;
    readonly folder: (name: string) => string;
    readonly overrides?: Partial<RunDeps>;
    /** Default: 60 mails. */
    readonly mails?: readonly TestChange[];
  },
) {
  const { catalog, mode, folder } = options;
  const world = await World.open(database, catalog);
  const mails =
    options.mails ?? Array.from({ length: 60 }, (_, i) => sampleMail(`mail-${i}`, `subject ${i}`));
  await world.user.push(...mails);
  const published: string[] = [];
  const deps: RunDeps = {
    ...{ db: world.db, catalog, base: FAKE_BASE, clock: STOPPED },
    store: await openAdapterStore(folder('data'), vaultOf(world.db)),
    wakeups: openLocalWakeups(),
    workDir: folder('work'),
    train: (job) => pretendToTrain(job),
    onPublished: ({ id }) => published.push(id),
    shutdown: new AbortController().signal,
    ...options.overrides,
  };
  const key = { userId: world.user.id, mode };
  const run = (isLast = false) => runTraining(deps, key, { isLast });
  const live = () => liveAdapter(world.db, key.userId, mode);
  const lastRuns = () =>
    world.db
      .selectFrom('runs')
      .selectAll()
      .where('userId', '=', key.userId)
      .where('mode', '=', mode)
      .orderBy('seq', 'desc');
  const lastRun = () => lastRuns().executeTakeFirstOrThrow();
  const runs = async () => (await lastRuns().execute()).reverse();
  return { world, mails, deps, run, live, lastRun, runs, published };
}
