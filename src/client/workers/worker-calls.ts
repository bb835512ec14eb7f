// Calls from a page to its Worker (serve-calls.ts): many at a time, each with pieces on the way and one end.

import {
  buffersIn,
  fromErrorFields,
  type MessagePeer,
  type WorkerReply,
} from './worker-messages.ts';

/** A Worker, as far as it is used here. */
export interface CalledWorker extends MessagePeer {
  terminate(): void;
}

/** How a call is watched and stopped. */
export interface CallHooks {
  onEvent?(event: unknown): void;
  readonly signal?: AbortSignal | undefined;
}

/** A call that waits for its end. */
interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onEvent(event: unknown): void;
}

/** Calls Workers that `start` makes: one when it is hired, another one after it was dismissed or has died. */
export class WorkerCalls {
  readonly #start: () => CalledWorker;
  #worker: CalledWorker | null = null;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  constructor(start: () => CalledWorker) {
    this.#start = start;
  }

  get isHired(): boolean {
    return this.#worker !== null;
  }

  /** Starts a Worker if there is none. */
  hire(): void {
    this.#worker ??= this.#hire();
  }

  /** Ends the Worker, and with it all calls under way. */
  dismiss(reason: Error): void {
    if (this.#worker !== null) this.#dismiss(this.#worker, reason);
  }

  /** Rejects with the signal's reason as soon as it aborts; the Worker is told. */
  call<T>(
    method: string,
    args: readonly unknown[],
    { onEvent = () => undefined, signal }: CallHooks = {},
  ): Promise<T> {
    const worker = this.#worker;
    if (worker === null) return Promise.reject(new Error('the Worker is not started'));
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

  #hire(): CalledWorker {
    const worker = this.#start();
    worker.addEventListener('message', ({ data }) => this.#receive(data as WorkerReply));
    const onDeath = ({ message }: { readonly message?: string }) =>
      this.#dismiss(worker, new Error(`the Worker failed: ${message ?? 'it did not say why'}`));
    worker.addEventListener('error', onDeath);
    worker.addEventListener('messageerror', onDeath);
    return worker;
  }

  #dismiss(worker: CalledWorker, reason: Error): void {
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
}
