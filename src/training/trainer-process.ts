// Entry of a trainer process: takes a job, reports on it, and waits for the next. It ends when its parent ends it, or ends itself.

import { systemClock } from '../lib/clock.ts';
import { UntrainableError } from './core/untrainable-error.ts';
import { trainAdapter } from './train-adapter.ts';
import type { TrainerReport, TrainerRequest } from './trainer-messages.ts';
import { Workshop } from './workshop.ts';

function report(message: TrainerReport): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

const workshop = new Workshop();

async function work({ job }: TrainerRequest): Promise<void> {
  try {
    const result = await trainAdapter(job, {
      clock: systemClock,
      workshop,
      onProgress: (progress) => void report({ kind: 'progress', progress }),
    });
    await report({ kind: 'done', result });
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    await report({ kind: 'failed', error, isFinal: error instanceof UntrainableError });
  }
}

// Ctrl-C reaches the whole process group; the parent decides when a trainer ends.
process.on('SIGINT', () => undefined);
// The channel breaks when the parent dies, even by SIGKILL; nobody would take the result then.
process.once('disconnect', () => process.exit());
process.on('message', (request: TrainerRequest) => {
  // what even a report cannot tell ends the process, and the parent sees that
  work(request).catch(() => process.exit(1));
});
