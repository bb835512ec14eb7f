// The trainer of a browser's page: it runs in a Worker that the app starts, which serves trainer-worker.ts. A Worker lives
// for one run, so that its memory is given back.

import type { DeviceTrainResult } from '../../training/core/train-on-device.ts';
import { type CalledWorker, WorkerCalls } from '../workers/worker-calls.ts';
import type { DeviceTrainer } from './device-trainer.ts';
import type { TrainerEvent } from './trainer-worker.ts';

/** Trains in Workers that `start` makes, one for each run. */
export function openWorkerTrainer(start: () => CalledWorker): DeviceTrainer {
  const calls = new WorkerCalls(start);
  const close = () => calls.dismiss(new Error('the trainer is closed'));
  return {
    train: async (job, { onStep, onCheckpoint, signal }) => {
      calls.hire();
      let kept: Promise<void> = Promise.resolve();
      const onEvent = (event: unknown) => {
        const { step, state } = event as TrainerEvent;
        if (step !== undefined) onStep?.(step);
        if (state !== undefined) kept = kept.then(() => onCheckpoint?.(state));
        // waited for, and thrown, when the call has ended
        kept.catch(() => undefined);
      };
      try {
        const result = await calls.call<DeviceTrainResult>('train', [job], { onEvent, signal });
        await kept;
        return result;
      } finally {
        // a call that failed says why itself; the checkpoint before is whole
        await kept.catch(() => undefined);
        close();
      }
    },
    close: () => Promise.resolve(close()),
  };
}
