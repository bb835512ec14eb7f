// The process: runs a command, says what went wrong, and ends cleanly when it is told to.

import { explainedExitCode, type Role, runCli } from './cli.ts';
import { type Config, ConfigError } from './config.ts';
import { systemClock } from './lib/clock.ts';
import { AppError } from './lib/errors.ts';
import { StartError } from './lib/start-error.ts';
import { DamagedBaseError } from './model/base/base-package.ts';
import { ModeFileError } from './modes/mode-file-error.ts';
import type { AppOptions } from './start/app.ts';
import { bannerOf } from './start/banner.ts';
import type { Closable } from './start/closers.ts';
import { openLogger } from './start/logger.ts';
import type { StartOptions } from './start/open-parts.ts';
import { requireSharedDatabase } from './start/require-shared-database.ts';

/** A stop that takes longer than this is cut short. */
const STOP_LIMIT_MS = 4_500;

/** Errors whose message is all that their reader needs. */
const EXPLAINED = [AppError, ConfigError, DamagedBaseError, ModeFileError, StartError];

/** Starts what the role is and runs it until the process is told to stop. */
async function run(role: Role, config: Config): Promise<void> {
  let isRunning = false;
  // a start that is cut short has nothing to lose yet
  const signal = stopSignal(() => (isRunning ? 1 : 0));
  try {
    const options = { logger: openLogger(config.logLevel), signal };
    const tracing = await trace(role, config, options.logger);
    const node = await START[role](config, options);
    isRunning = true;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await node.close();
    await tracing?.close();
  } catch (error) {
    // a start that was stopped has failed for no other reason
    if (!signal.aborted) throw error;
  }
  process.exit(0);
}

/** How each role starts. Imported only here: the other commands need none of it and should not wait for it. */
const START: Readonly<Record<Role, (config: Config, options: StartOptions) => Promise<Closable>>> =
  {
    all: (config, options) => serve(config, { ...options, trains: true }),
    serve: (config, options) => {
      requireSharedDatabase(config, 'serve');
      return serve(config, { ...options, trains: false });
    },
    train: async (config, options) => {
      const { startTrainerNode } = await import('./start/trainer-node.ts');
      const node = await startTrainerNode(config, options);
      process.stdout.write(`Attune is training, ${config.trainers} at a time.\n`);
      return node;
    },
  };

async function trace(
  role: Role,
  { traces: endpoint }: Config,
  logger: StartOptions['logger'],
): Promise<Closable | null> {
  if (endpoint === undefined) return null;
  const { openTracing } = await import('./operations/open-tracing.ts');
  return openTracing({ endpoint, role }, (reason) => logger.warn({ reason }, 'traces are lost'));
}

async function serve(config: Config, options: AppOptions): Promise<Closable> {
  const { startApp } = await import('./start/app.ts');
  const app = await startApp(config, options);
  process.stdout.write(await bannerOf(app, config));
  return app;
}

/** Aborts at the first SIGINT or SIGTERM. The second one, or the time limit, ends the process at once; the limit with the
 *  exit code that is given. */
function stopSignal(exitCodeOfLimit: () => number): AbortSignal {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    process.stderr.write('Stopping ... (once more: at once)\n');
    stop.abort(new Error('the server was told to stop'));
    void systemClock.sleep(STOP_LIMIT_MS).then(() => process.exit(exitCodeOfLimit()));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return stop.signal;
}

function explain(error: unknown): string {
  const isExplained = EXPLAINED.some((type) => error instanceof type);
  return error instanceof Error ? (isExplained ? error.message : (error.stack ?? '')) : `${error}`;
}

try {
  await runCli(process.argv.slice(2), { run, print: (text) => process.stdout.write(text) });
} catch (error) {
  const exitCode = explainedExitCode(error);
  if (exitCode === undefined) process.stderr.write(`${explain(error)}\n`);
  process.exit(exitCode ?? 1);
}
