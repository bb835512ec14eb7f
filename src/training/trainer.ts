// Runs a training job in a process of its own: native code that crashes takes no server with it.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { forkScript } from '../lib/fork-script.ts';
import { UntrainableError } from './core/untrainable-error.ts';
import type { KeptTrainers } from './kept-trainers.ts';
import type { TrainerReport, TrainerRequest } from './trainer-messages.ts';
import type { TrainingJob, TrainingProgress, TrainingResult } from './training-job.ts';

/** How a trainer is watched and stopped. */
export interface RunTrainerOptions {
  readonly onProgress: (progress: TrainingProgress) => void;
  /** Aborting kills the trainer. */
  readonly signal: AbortSignal;
  /** How readily the trainer yields the processor, 0 to 19 (default 10): answers come first. */
  readonly niceness?: number;
  /** Where an idle trainer is taken from, and put back after a run that ended well; absent: the trainer is of this run alone. */
  readonly kept?: KeptTrainers;
}

const TRAINER = new URL('./trainer-process.ts', import.meta.url);

/** Trains an adapter in a child process and waits for its last word. `job.outDir` appears whole or not at all; a killed trainer may
 *  leave a scratch folder beside it.
 *  Throws UntrainableError when trying again would give the same, the signal's reason after an abort, and otherwise an
 *  Error that says how the trainer ended. */
export async function runTrainer(
  job: TrainingJob,
  { onProgress, signal, niceness = 10, kept }: RunTrainerOptions,
): Promise<TrainingResult> {
  signal.throwIfAborted();
  const forked = kept?.take() ?? forkScript(TRAINER, { niceness, keepsMemory: true });
  const { child, stderr } = forked;
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let isKept = false;
  try {
    const ending = await work(child, job, onProgress);
    signal.throwIfAborted();
    const result = resultOf(ending, stderr());
    isKept = kept !== undefined;
    return result;
  } finally {
    signal.removeEventListener('abort', kill);
    if (isKept) kept?.put(forked);
    else kill();
  }
}

/** A trainer's last word on a job, or how it died without one. */
type Ending = Exclude<TrainerReport, { kind: 'progress' }> | { kind: 'died'; how: string };

async function work(
  child: ChildProcess,
  job: TrainingJob,
  onProgress: RunTrainerOptions['onProgress'],
): Promise<Ending> {
  const over = new AbortController();
  const said = new Promise<Ending>((resolve) => {
    const listen = (report: TrainerReport) => {
      if (report.kind === 'progress') onProgress(report.progress);
      else resolve(report);
    };
    child.on('message', listen);
    over.signal.addEventListener('abort', () => child.off('message', listen));
  });
  // both: the last message may be read after the exit is seen
  const { signal } = over;
  const died = Promise.all([
    once(child, 'exit', { signal }),
    once(child, 'disconnect', { signal }),
  ]).then(
    ([[code, killedBy]]): Ending => ({
      kind: 'died',
      how: `code ${code}, signal ${killedBy}`,
    }),
  );
  try {
    // a channel that is broken already is told by the exit, with more to say
    child.send({ job } satisfies TrainerRequest, () => undefined);
    return await Promise.race([said, died]);
  } finally {
    died.catch(() => undefined);
    over.abort();
  }
}

function resultOf(ending: Ending, stderr: string): TrainingResult {
  if (ending.kind === 'done') return ending.result;
  if (ending.kind === 'died')
    throw new Error(`the trainer died (${ending.how}: ${stderr.trim() || 'no output'})`);
  const { error, isFinal } = ending;
  if (isFinal) throw new UntrainableError(error.message, { cause: error });
  throw new Error(`the trainer failed: ${error.message}`, { cause: error });
}
