// Trains in this thread: in Node and React Native, and in a browser inside a Worker.

import { Turns } from '../../lib/turns.ts';
import type { Ort } from '../../runtime/ort-session.ts';
import { trainOnDevice } from '../../training/core/train-on-device.ts';
import type { DeviceTrainer } from './device-trainer.ts';

/** How a trainer runs. */
export interface LocalTrainerOptions {
  /** Threads of a native engine. onnxruntime-web's are `ort.env.wasm.numThreads`. */
  readonly threads?: number;
  /** Called between two steps, so that others get the thread. */
  rest?(): Promise<void>;
}

/** Opens a trainer on the given onnxruntime. */
export function openLocalTrainer(ort: Ort, options: LocalTrainerOptions = {}): DeviceTrainer {
  const { threads, rest } = options;
  const turns = new Turns();
  return {
    train: (job, hooks) =>
      turns.take(() => trainOnDevice(ort, job, { ...hooks, ...(rest && { rest }) }, threads)),
    close: () => turns.take(() => Promise.resolve()),
  };
}
