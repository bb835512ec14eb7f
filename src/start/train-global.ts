// The command `train-global`: from a file of data to the folder that a mode ships.

import { readFile, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '../config.ts';
import { systemClock } from '../lib/clock.ts';
import { nullIfMissing } from '../lib/null-if-missing.ts';
import { StartError } from '../lib/start-error.ts';
import { loadCatalog } from '../modes/catalog.ts';
import { UntrainableError } from '../training/core/untrainable-error.ts';
import { parseGlobalData } from '../training/global-data.ts';
import { trainGlobal } from '../training/train-global.ts';
import type { TrainingProgress } from '../training/training-job.ts';
import { installModel } from './install-model.ts';

/** What the command is told besides its settings. */
export interface TrainGlobalArguments {
  readonly mode: string;
  /** A file of data. */
  readonly data: string;
  /** The folder to make. */
  readonly out: string;
}

/** Makes the folder and returns what to tell of it. Leaves none and throws StartError with the reason when there is one
 *  already, when the data cannot be learnt, or when the adapter does not pass the mode's gate. */
export async function trainGlobalCommand(
  config: Config,
  { mode: key, data: file, out }: TrainGlobalArguments,
  print: (text: string) => void,
): Promise<void> {
  const outDir = resolve(out);
  if ((await stat(outDir).catch(nullIfMissing)) !== null)
    throw new StartError(`${outDir} is there already; give the name of a folder that is not.`);
  const mode = (await loadCatalog(config.modesDir)).mode(key);
  const data = parseGlobalData(await readData(file), mode, file);
  const { base } = await installModel(config, null, new AbortController().signal);
  print(
    `${data.examples.length} examples, ${data.preferences.length} pairs, ${data.dropped} lines dropped\n`,
  );
  const onProgress = progressLines(print);
  const { verdict, result } = await trainGlobal({
    ...{ mode, base, data, outDir, clock: systemClock, onProgress },
  }).catch((error: unknown) => {
    if (error instanceof UntrainableError) throw new StartError(error.message);
    throw error;
  });
  if (!verdict.passed) {
    await rm(outDir, { recursive: true });
    throw new StartError(`The adapter is of no use: ${verdict.reason}.`);
  }
  print(
    `${verdict.reason}; ${result.steps} steps\n${outDir}: put it into ${key}.yaml as shippedAdapter.\n`,
  );
}

function readData(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const { code, message } = cause;
    const flaw =
      code === 'ENOENT' ? `There is no file ${file}.` : `Cannot read ${file}: ${message}.`;
    throw new StartError(flaw, { cause });
  });
}

/** A line for every tenth of the way. */
function progressLines(print: (text: string) => void): (progress: TrainingProgress) => void {
  let tenths = 0;
  return ({ step, totalSteps, loss, secondsLeft }) => {
    const now = Math.floor((10 * step) / totalSteps);
    if (now > tenths)
      print(
        `step ${step} of ${totalSteps}: loss ${loss.toFixed(3)}, ${secondsLeft.toFixed(0)} s left\n`,
      );
    tenths = now;
  };
}
