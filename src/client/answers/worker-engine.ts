// The engine of a browser's page: it runs in a Worker that the app starts, which serves engine-worker.ts.

import type {
  AdapterContent,
  AnswerHooks,
  DeviceAnswer,
} from '../../inference/core/device-model.ts';
import { type CalledWorker, WorkerCalls } from '../workers/worker-calls.ts';
import type { DeviceEngine, EngineBase, EngineQuestion } from './device-engine.ts';

/** A Worker, as far as it is used here. */
export type EngineWorker = CalledWorker;

/** Runs the engine in Workers that `start` makes: the first one when it is opened, another one after it was closed or
 *  has died. */
export function openWorkerEngine(start: () => EngineWorker): DeviceEngine {
  return new WorkerEngine(start);
}

class WorkerEngine implements DeviceEngine {
  readonly #calls: WorkerCalls;

  constructor(start: () => EngineWorker) {
    this.#calls = new WorkerCalls(start);
  }

  open(base: EngineBase): Promise<void> {
    this.#calls.hire();
    return this.#calls.call<void>('open', [base]);
  }

  hasAdapter(sha256: string): Promise<boolean> {
    return this.#calls.call<boolean>('hasAdapter', [sha256]);
  }

  putAdapter(sha256: string, content: AdapterContent): Promise<void> {
    return this.#calls.call<void>('putAdapter', [sha256, content]);
  }

  answer(
    question: EngineQuestion,
    { onText, signal }: Pick<AnswerHooks, 'onText' | 'signal'> = {},
  ): Promise<DeviceAnswer> {
    const onEvent = (event: unknown) => onText?.(event as string);
    return this.#calls.call<DeviceAnswer>('answer', [question], { onEvent, signal });
  }

  async close(): Promise<void> {
    if (!this.#calls.isHired) return;
    await this.#calls.call('close', []);
    this.#calls.dismiss(new Error('the engine is closed'));
  }
}
