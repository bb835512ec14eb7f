// Runs a training job in a process of its own: native code that crashes takes no server with it.

import { once } from 'node:events';
import { forkScript } from '../lib/fork-script.ts';
import { UntrainableError } from './core/untrainable-error.ts';
import type { TrainerReport, TrainerRequest } from './trainer-messages.ts';
import type { TrainingJob, TrainingProgress, TrainingResult } from './training-job.ts';

/** How a trainer is watched and stopped. */
export interface RunTrainerOptions {
  readonly onProgress: (progress: TrainingProgress) => void;
  /** Aborting kills the trainer. */
  readonly signal: AbortSignal;
  /** How readily the trainer yields the processor, 0 to 19 (default 10): answers come first. */
  readonly niceness?: number;
}

const TRAINER = new URL('./trainer-process.ts', import.meta.url);

/** Trains an adapter in a child process and waits for its end. `job.outDir` appears whole or not at all; a killed trainer may
 *  leave a scratch folder beside it.
 *  Throws UntrainableError when trying again would give the same, the signal's reason after an abort, and otherwise an
 *  Error that says how the trainer ended. */
export async function runTrainer(
  job: TrainingJob,
  { onProgress, signal, niceness = 10 }: RunTrainerOptions,
): Promise<TrainingResult> {
  signal.throwIfAborted();
  const { child, stderr } = forkScript(TRAINER, { niceness });
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let last: TrainerReport | undefined;
  child.on('message', (report: TrainerReport) => {
    if (report.kind === 'progress') onProgress(report.progress);
    else last = report;
  });
  try {
    // both: the last message may be read after the exit is seen
    const ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
    // a channel that is broken already is told by the exit, with more to say
    child.send({ job } satisfies TrainerRequest, () => undefined);
    const [[code, killedBy]] = await ended;
    signal.throwIfAborted();
    const ending = `code ${code}, signal ${killedBy}: ${stderr().trim() || 'no output'}`;
    return resultOf(last, ending);
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
  }
}

function resultOf(last: TrainerReport | undefined, ending: string): TrainingResult {
  if (last?.kind === 'done') return last.result;
  if (last?.kind !== 'failed') throw new Error(`the trainer died (${ending})`);
  const { error, isFinal } = last;
  if (isFinal) throw new UntrainableError(error.message, { cause: error });
  throw new Error(`the trainer failed: ${error.message}`, { cause: error });
}
