// The engine of a browser's page: it runs in a Worker that the app starts, which serves engine-worker.ts.

import type { AdapterContent, AnswerHooks, DeviceAnswer } from '../inference/core/device-model.ts';
import type { DeviceEngine, EngineBase, EngineQuestion } from './device-engine.ts';
import {
  buffersIn,
  fromErrorFields,
  type MessagePeer,
  type WorkerReply,
} from './worker-messages.ts';

/** A Worker, as far as it is used here. */
export interface EngineWorker extends MessagePeer {
  terminate(): void;
}

/** Runs the engine in Workers that `start` makes: the first one when it is opened, another one after it was closed or
 *  has died. */
export function openWorkerEngine(start: () => EngineWorker): DeviceEngine {
  return new WorkerEngine(start);
}

/** A call that waits for its end. */
interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onEvent(event: unknown): void;
}

class WorkerEngine implements DeviceEngine {
  readonly #start: () => EngineWorker;
  #worker: EngineWorker | null = null;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  constructor(start: () => EngineWorker) {
    this.#start = start;
  }

  open(base: EngineBase): Promise<void> {
    this.#worker ??= this.#hire();
    return this.#call<void>('open', [base]);
  }

  hasAdapter(sha256: string): Promise<boolean> {
    return this.#call<boolean>('hasAdapter', [sha256]);
  }

  putAdapter(sha256: string, content: AdapterContent): Promise<void> {
    return this.#call<void>('putAdapter', [sha256, content]);
  }

  answer(
    question: EngineQuestion,
    { onText, signal }: Pick<AnswerHooks, 'onText' | 'signal'> = {},
  ): Promise<DeviceAnswer> {
    const onEvent = (event: unknown) => onText?.(event as string);
    return this.#call<DeviceAnswer>('answer', [question], { onEvent, signal });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    await this.#call('close', []);
    this.#dismiss(worker, new Error('the engine is closed'));
  }

  #hire(): EngineWorker {
    const worker = this.#start();
    worker.addEventListener('message', ({ data }) => this.#receive(data as WorkerReply));
    const onDeath = ({ message }: { readonly message?: string }) =>
      this.#dismiss(worker, new Error(`the Worker failed: ${message ?? 'it did not say why'}`));
    worker.addEventListener('error', onDeath);
    worker.addEventListener('messageerror', onDeath);
    return worker;
  }

  #dismiss(worker: EngineWorker, reason: Error): void {
    worker.terminate();
    if (this.#worker === worker) this.#worker = null;
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  #receive(reply: WorkerReply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    if (reply.kind !== 'event') this.#pending.delete(reply.id);
    if (reply.kind === 'event') pending.onEvent(reply.event);
    else if (reply.kind === 'done') pending.resolve(reply.result);
    else pending.reject(fromErrorFields(reply.error));
  }

  /** Rejects with the signal's reason as soon as it aborts; the Worker is told. */
  #call<T>(
    method: string,
    args: readonly unknown[],
    hooks: { onEvent?(event: unknown): void; signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const worker = this.#worker;
    if (worker === null) return Promise.reject(new Error('the engine is not open'));
    const { onEvent = () => undefined, signal } = hooks;
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise<T>((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = () => {
        worker.postMessage({ kind: 'abort', id });
        this.#pending.delete(id);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const isOver = () => signal?.removeEventListener('abort', onAbort);
      this.#pending.set(id, {
        onEvent,
        resolve: (result) => {
          isOver();
          resolve(result as T);
        },
        reject: (error) => {
          isOver();
          reject(error);
        },
      });
      worker.postMessage({ kind: 'call', id, method, args }, buffersIn(args));
    });
  }
}
