// What trains on a device, as the client sees it: in this thread (local-trainer.ts), or in a Worker (worker-trainer.ts),
// which is where a browser's belongs.

import type {
  DeviceTrainHooks,
  DeviceTrainJob,
  DeviceTrainResult,
} from '../../training/core/train-on-device.ts';

/** Trains adapters, one after the other. */
export interface DeviceTrainer {
  /** Throws UntrainableError when trying again would give the same, and the signal's reason. The bytes in the job are the
   *  trainer's from then on. */
  train(job: DeviceTrainJob, hooks: Omit<DeviceTrainHooks, 'rest'>): Promise<DeviceTrainResult>;
  /** Frees what it holds; it may be used again. */
  close(): Promise<void>;
}
