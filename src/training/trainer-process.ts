// Entry of a trainer process: takes one job, reports on it, and ends. It also ends when its parent does.

import { systemClock } from '../lib/clock.ts';
import { UntrainableError } from './core/untrainable-error.ts';
import { trainAdapter } from './train-adapter.ts';
import type { TrainerReport, TrainerRequest } from './trainer-messages.ts';

function report(message: TrainerReport): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

async function work({ job }: TrainerRequest): Promise<void> {
  try {
    const result = await trainAdapter(job, {
      clock: systemClock,
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
process.once('message', (request: TrainerRequest) => {
  void work(request).finally(() => process.exit());
});
