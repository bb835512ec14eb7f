// What every process of a deployment stands on, whether it answers, trains or does both.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { pino } from 'pino';
import { type JobShares, type Jobs, startJobs } from '../../jobs/start.ts';
import { openStore } from '../adapters/open-store.ts';
import { sealOldAdapters } from '../adapters/seal-old.ts';
import { UploadMirror } from '../adapters/upload-mirror.ts';
import { Uploads } from '../adapters/uploads.ts';
import { indexLookups } from '../changes/index-lookups.ts';
import { blobPlaceOf, type Config, vaultSettingsOf } from '../config.ts';
import { openDatabase } from '../db/database.ts';
import { systemClock } from '../lib/clock.ts';
import { parseModelReference } from '../model/base/model-reference.ts';
import { loadCatalog } from '../modes/catalog.ts';
import { openMetrics } from '../operations/metrics.ts';
import { guardedStore } from '../runs/guarded-store.ts';
import type { RunDeps } from '../runs/run-training.ts';
import { vaultFrom } from '../sealing/vault.ts';
import { KeptTrainers } from '../training/kept-trainers.ts';
import { runTrainer } from '../training/trainer.ts';
import type { Closers } from './closers.ts';
import { installModel } from './install-model.ts';
import { keepBase } from './keep-base.ts';
import { openWakeups } from './open-wakeups.ts';
import { shipAdapters } from './ship-adapters.ts';

/** What a start is told besides its settings. */
export interface StartOptions {
  readonly logger: pino.Logger;
  /** Aborts when the process is told to stop before it has started. */
  readonly signal: AbortSignal;
}

/** Database, base, store and all else that answering and training share. */
export type Parts = Awaited<ReturnType<typeof openParts>>;

/** Opens the parts in the order in which they need each other; `opened` closes them. */
export async function openParts(config: Config, { logger, signal }: StartOptions, opened: Closers) {
  const { dataDir, databaseUrl, migrates } = config;
  const metrics = openMetrics();
  // what takes no time goes first, so that nobody waits for a download to hear of a slip
  parseModelReference(config.model);
  const catalog = await loadCatalog(config.modesDir, { only: config.modes });
  const vault = vaultFrom(vaultSettingsOf(config));
  const database = opened.add(
    await openDatabase({
      ...{ dataDir, databaseUrl, vault, migrates },
      onMigration: ({ name: migration, ms }) =>
        logger.info({ migration, ...(ms !== null && { ms }) }, 'the tables are brought up to date'),
      onQuery: (ms) => metrics.sqlSeconds.observe(ms / 1000),
    }),
  );
  const { blobs, store } = await openStore(blobPlaceOf(config), vault, () =>
    metrics.adapters.inc({ tier: 'bucket' }),
  );
  if (blobs !== null) opened.add({ close: async () => blobs.close() });
  const installed = await installModel(config, blobs, signal);
  await keepBase(database.kysely, dataDir, installed);
  const { base } = installed;
  const parts = { db: database.kysely, catalog, base, store, clock: systemClock };
  await shipAdapters(parts);
  await sealOldAdapters(parts);
  await indexLookups(database.kysely, catalog);
  signal.throwIfAborted();
  const onError = (err: unknown) => logger.error({ err }, 'wake-ups failed; they are late');
  const wakeups = opened.add(await openWakeups(config, database, onError));
  const guarded = guardedStore({ ...parts, wakeups });
  const mirror = blobs === null ? null : new UploadMirror(blobs, vault, tmpdir());
  const uploadsDir = join(blobPlaceOf(config).folder, 'uploads');
  const uploads = new Uploads(uploadsDir, systemClock, vault, mirror);
  return { ...parts, store: guarded, uploads, database, wakeups, metrics };
}

/** Starts this process's share of the background work. */
export async function openJobs(
  config: Config,
  parts: Parts,
  options: JobShares & {
    readonly logger: pino.Logger;
    /** Told of every adapter that became live here. */
    readonly onPublished?: RunDeps['onPublished'];
  },
): Promise<Jobs> {
  const { logger, onPublished, relays, trains } = options;
  const kept = new KeptTrainers(parts.clock);
  const jobs = await startJobs({
    ...{ relays, trains },
    database: parts.database,
    redisUrl: config.redisUrl,
    concurrency: config.trainers,
    onError: (err) => logger.error({ err }, 'the queue failed; it tries again'),
    onFailed: (err) => logger.error({ err }, 'an attempt at a run failed'),
    run: {
      ...parts,
      workDir: join(config.dataDir, 'training'),
      train: (job, watch) => runTrainer(job, { ...watch, kept }),
      onPublished: (adapter, figures) => {
        const { id: adapterId, mode, version } = adapter;
        logger.info({ adapterId, mode, version, ...figures }, 'an adapter is live');
        return onPublished?.(adapter, figures);
      },
    },
  });
  return {
    close: async () => {
      kept.close();
      await jobs.close();
    },
  };
}
