import type { Blobs } from '../blobs/blobs.ts';
import type { Config } from '../config.ts';
import { AppError } from '../lib/errors.ts';
import { installBase } from '../model/base/base-install.ts';
import type { Base } from '../model/base/base-package.ts';
import { openProgressDisplay } from './install-progress.ts';

/** The base of a start, and the name that brings it back. */
export interface InstalledModel {
  readonly base: Base;
  /** What `--model` would be given to get it. */
  readonly model: string;
}

/** Installs the configured base model with progress on the terminal, from the blobs if another process has put it there. Where the default one cannot be fetched, says so
 *  and takes the tiny one that comes with the program; a model that was asked for by name has no substitute. */
export async function installModel(
  config: Config,
  blobs: Blobs | null,
  signal: AbortSignal,
): Promise<InstalledModel> {
  const { model } = config;
  const install = (name: string) => installNamed(config, name, { blobs, signal });
  try {
    return { model, base: await install(model) };
  } catch (error) {
    const isOutOfReach = error instanceof AppError && error.code === 'UNAVAILABLE';
    if (!isOutOfReach || model !== 'default') throw error;
    process.stderr.write(
      `The default base model cannot be fetched: ${error.message}\n` +
        'Going on with the tiny base model that comes with Attune: everything works, but its answers are poor.\n',
    );
    return { model: 'tiny', base: await install('tiny') };
  }
}

async function installNamed(
  config: Config,
  model: string,
  { blobs, signal }: { blobs: Blobs | null; signal: AbortSignal },
): Promise<Base> {
  const display = openProgressDisplay(process.stderr);
  try {
    return await installBase({
      model,
      cacheDir: config.cacheDir,
      hub: { endpoint: config.hubUrl },
      onProgress: display.show,
      blobs,
      signal,
    });
  } finally {
    display.end();
  }
}
