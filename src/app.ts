// The composition root: opens every part of a server in the order in which they need each other, and closes them in the
// opposite one.

import { join } from 'node:path';
import type { pino } from 'pino';
import { type Jobs, startJobs } from '../jobs/start.ts';
import type { Services } from '../schema/context.ts';
import { buildSchema } from '../schema/schema.ts';
import { openAdapterStore } from './adapters/store.ts';
import { openAnswers } from './answers/answers.ts';
import { openAuthenticator } from './auth.ts';
import { Closers } from './closers.ts';
import type { Config } from './config.ts';
import { forgetRecords } from './dataset/forget-records.ts';
import { openDatabase } from './db/database.ts';
import { startEngine } from './inference/engine-client.ts';
import { installModel } from './install-model.ts';
import { keepBase } from './keep-base.ts';
import { systemClock } from './lib/clock.ts';
import { openLocalWakeups } from './lib/wakeups.ts';
import { type Base, loadTokenizer } from './model/base-package.ts';
import { decodeFiles } from './model/decode-package.ts';
import { parseModelReference } from './model/model-reference.ts';
import { loadCatalog } from './modes/catalog.ts';
import { checkAddress, startServer } from './server.ts';
import { shipAdapters } from './ship-adapters.ts';
import { readCursorSecret } from './sync/cursor.ts';
import { runTrainer } from './training/trainer.ts';

/** A running server. */
export interface App {
  readonly url: string;
  readonly base: Base;
  /** Ends everything within a few seconds; runs that were training wait again. */
  close(): Promise<void>;
}

/** What a start is told besides its settings. */
export interface StartOptions {
  readonly logger: pino.Logger;
  /** Aborts when the process is told to stop before it has started. */
  readonly signal: AbortSignal;
}

/** Opens everything, ready to be asked when it resolves. When something cannot be opened, or the signal aborts, closes
 *  what is open already and rejects. */
export async function startApp(config: Config, options: StartOptions): Promise<App> {
  const opened = new Closers();
  try {
    const parts = await openParts(config, options, opened);
    opened.add(await openJobs(config, options, parts));
    const authenticator = await openAuthenticator(config.dataDir, systemClock);
    options.signal.throwIfAborted();
    const server = opened.add(
      await startServer({
        host: config.host,
        port: config.port,
        schema: buildSchema(),
        services: await servicesOf(parts),
        authenticator,
        logger: options.logger,
      }),
    );
    return { url: server.url, base: parts.base, close: () => opened.close() };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

type Parts = Awaited<ReturnType<typeof openParts>>;

/** All that jobs and API stand on. */
async function openParts(config: Config, { logger, signal }: StartOptions, opened: Closers) {
  const { dataDir, databaseUrl } = config;
  // what takes no time goes first, so that nobody waits for a download to hear of a slip
  parseModelReference(config.model);
  await checkAddress(config);
  const catalog = await loadCatalog(config.modesDir, { only: config.modes });
  const database = opened.add(await openDatabase({ dataDir, databaseUrl }));
  const installed = await installModel(config, signal);
  await keepBase(database.kysely, dataDir, installed);
  const { base } = installed;
  const store = await openAdapterStore(dataDir);
  const parts = { db: database.kysely, catalog, base, store, clock: systemClock };
  await shipAdapters(parts);
  signal.throwIfAborted();
  const wakeups = opened.add(openLocalWakeups());
  logger.info({ base: base.name, threads: config.threads }, 'the engine is starting');
  const engine = opened.add(
    await startEngine({
      baseDir: base.dir,
      threads: config.threads,
      onRestart: (reason) => logger.error({ reason }, 'the engine died; it is started again'),
    }),
  );
  return { ...parts, database, wakeups, engine };
}

function openJobs(config: Config, { logger }: StartOptions, parts: Parts): Promise<Jobs> {
  const { database, engine, store } = parts;
  return startJobs({
    database,
    redisUrl: config.redisUrl,
    concurrency: config.trainers,
    onError: (err) => logger.error({ err }, 'the queue failed; it tries again'),
    run: {
      ...parts,
      workDir: join(config.dataDir, 'training'),
      train: runTrainer,
      onPublished: ({ id, mode, version, sha256 }, { runId, trainerMs }) => {
        engine.warm({ sha256, dir: store.pathOf(sha256) });
        logger.info({ adapterId: id, mode, version, runId, trainerMs }, 'an adapter is live');
      },
    },
  });
}

async function servicesOf(parts: Parts): Promise<Services> {
  const { db, base, catalog, clock } = parts;
  const tokenizer = await loadTokenizer(base);
  return {
    ...parts,
    // what the engine runs, a device may run as well
    base: { ...base, files: [...base.files, ...(await decodeFiles(base))] },
    answers: openAnswers({ ...parts, tokenizer, baseSha256: base.sha256 }),
    cursorSecret: await readCursorSecret(db),
    onDelete: (tx, userId, records) => forgetRecords({ catalog, clock }, tx, userId, records),
    countTokens: (messages, text) => ({
      promptTokens: tokenizer.encodeChat(messages, { addGenerationPrompt: true }).length,
      completionTokens: tokenizer.encode(text).length,
    }),
  };
}
