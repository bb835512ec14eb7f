import type { Config } from '../config.ts';
import { startHealthServer } from '../operations/health-server.ts';
import { Closers } from './closers.ts';
import { openHousekeeping } from './housekeeping.ts';
import { openOperations } from './open-operations.ts';
import { openJobs, openParts, type StartOptions } from './open-parts.ts';
import { requireSharedDatabase } from './require-shared-database.ts';

/** A process that trains and answers nobody. */
export interface TrainerNode {
  /** Stops within a few seconds; runs that were training wait again, for any other trainer. */
  close(): Promise<void>;
}

/** Starts to take runs from the queue. Throws StartError without a database that processes can share. */
export async function startTrainerNode(
  config: Config,
  options: StartOptions,
): Promise<TrainerNode> {
  requireSharedDatabase(config, 'train');
  const opened = new Closers();
  try {
    const { logger } = options;
    const parts = await openParts(config, options, opened);
    if (config.healthPort !== undefined) {
      const { router } = opened.add(openOperations(config, { ...parts, logger }));
      parts.metrics.watch(parts.db);
      const { host, healthPort: port } = config;
      opened.add(await startHealthServer({ host, port }, router));
    }
    const onError = (err: unknown) => logger.error({ err }, 'cannot tidy up yet');
    opened.add(openHousekeeping(parts, onError));
    opened.add(await openJobs(config, parts, { relays: false, trains: true, logger }));
    return { close: () => opened.close() };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
