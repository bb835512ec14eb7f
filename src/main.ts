// The process: runs a command, says what went wrong, and ends cleanly when it is told to.

import { bannerOf } from './banner.ts';
import { explainedExitCode, runCli } from './cli.ts';
import { type Config, ConfigError } from './config.ts';
import { systemClock } from './lib/clock.ts';
import { AppError } from './lib/errors.ts';
import { StartError } from './lib/start-error.ts';
import { openLogger } from './logger.ts';
import { DamagedBaseError } from './model/base-package.ts';
import { ModeFileError } from './modes/mode-file-error.ts';

/** A stop that takes longer than this is cut short. */
const STOP_LIMIT_MS = 4_500;

/** Errors whose message is all that their reader needs. */
const EXPLAINED = [AppError, ConfigError, DamagedBaseError, ModeFileError, StartError];

/** Starts the server and runs it until the process is told to stop. */
async function serve(config: Config): Promise<void> {
  const stop = stopSignal();
  try {
    // only here: the other commands need none of it and should not wait for it
    const { startApp } = await import('./app.ts');
    const app = await startApp(config, { logger: openLogger(config.logLevel), signal: stop });
    process.stdout.write(await bannerOf(app, config));
    await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
    await app.close();
  } catch (error) {
    // a start that was stopped has failed for no other reason
    if (!stop.aborted) throw error;
  }
  process.exit(0);
}

/** Aborts at the first SIGINT or SIGTERM. The second one, or the time limit, ends the process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    process.stderr.write('Stopping ... (once more: at once)\n');
    stop.abort(new Error('the server was told to stop'));
    void systemClock.sleep(STOP_LIMIT_MS).then(() => process.exit(1));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return stop.signal;
}

function explain(error: unknown): string {
  const isExplained = EXPLAINED.some((type) => error instanceof type);
  return error instanceof Error ? (isExplained ? error.message : (error.stack ?? '')) : `${error}`;
}

try {
  await runCli(process.argv.slice(2), { serve, print: (text) => process.stdout.write(text) });
} catch (error) {
  const exitCode = explainedExitCode(error);
  if (exitCode === undefined) process.stderr.write(`${explain(error)}\n`);
  process.exit(exitCode ?? 1);
}
