// A queue of this process's own, which finds out whether jobs that are put in come out again.

import { randomUUID } from 'node:crypto';
import { openQueue, type QueueOptions } from './queue.ts';

/** Sends jobs through the queue's server. */
export interface Probe {
  /** Resolves when a job that was put in has come out. */
  roundTrip(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a queue that nobody else looks at, on the same server as the training queue. */
export async function openProbe(options: QueueOptions): Promise<Probe> {
  const name = `probe-${randomUUID()}`;
  const queue = await openQueue({ ...options, name });
  const underWay = new Map<unknown, () => void>();
  const worker = await queue.work(
    (payload) => {
      const { userId: id } = payload as { readonly userId: string };
      underWay.get(id)?.();
      underWay.delete(id);
      return Promise.resolve();
    },
    { concurrency: 1, onError: options.onError },
  );
  return {
    roundTrip: async () => {
      const id = randomUUID();
      const arrived = new Promise<void>((resolve) => underWay.set(id, resolve));
      await queue.enqueue({ userId: id, mode: name }, 0);
      await arrived;
    },
    close: async () => {
      await worker.close();
      await queue.clear();
      await queue.close();
    },
  };
}
