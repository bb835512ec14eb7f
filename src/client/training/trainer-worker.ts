// The Worker's side of worker-trainer.ts. An app's Worker is two lines:
//   import * as ort from 'onnxruntime-web/wasm';
//   serveTrainer(self, ort);

import { systemClock } from '../../lib/clock.ts';
import type { Ort } from '../../runtime/ort-session.ts';
import type { LoopState, StepReport } from '../../training/core/train-loop.ts';
import type { DeviceTrainJob } from '../../training/core/train-on-device.ts';
import { serveCalls } from '../workers/serve-calls.ts';
import type { MessagePeer } from '../workers/worker-messages.ts';
import { openLocalTrainer } from './local-trainer.ts';

/** What a run tells on its way. */
export interface TrainerEvent {
  readonly step?: StepReport;
  readonly state?: LoopState;
}

/** Serves the page's runs with this onnxruntime until the Worker ends. */
export function serveTrainer(scope: MessagePeer, ort: Ort): void {
  // a message that aborts is read between two steps only
  const trainer = openLocalTrainer(ort, { rest: () => systemClock.sleep(0) });
  serveCalls(scope, {
    train: ({ signal, say }, job: DeviceTrainJob) => {
      const tell = (event: TrainerEvent) => say(event);
      return trainer.train(job, {
        signal,
        onStep: (step) => tell({ step }),
        // a message is a copy
        onCheckpoint: (state) => Promise.resolve(tell({ state })),
      });
    },
  });
}
