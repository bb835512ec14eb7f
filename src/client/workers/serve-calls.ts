// A Worker's side of worker-calls.ts.

import { type MessagePeer, toErrorFields, type WorkerCall } from './worker-messages.ts';

/** What a call may use. */
export interface ServedCall {
  readonly signal: AbortSignal;
  /** Tells the caller something on the way. */
  say(event: unknown): void;
}

/** Methods by name; their arguments are those of the call. */
export type ServedMethods = Readonly<
  Record<string, (call: ServedCall, ...args: never[]) => Promise<unknown>>
>;

/** Serves the page's calls until the Worker ends. */
export function serveCalls(scope: MessagePeer, methods: ServedMethods): void {
  const underWay = new Map<number, AbortController>();
  const obey = async (id: number, method: string, args: readonly unknown[]) => {
    const controller = new AbortController();
    underWay.set(id, controller);
    const call = {
      signal: controller.signal,
      say: (event: unknown) => scope.postMessage({ kind: 'event', id, event }),
    };
    try {
      const run = methods[method];
      if (run === undefined) throw new Error(`the Worker has no method ${method}`);
      const result = await run(call, ...(args as never[]));
      scope.postMessage({ kind: 'done', id, result });
    } catch (error) {
      scope.postMessage({ kind: 'failed', id, error: toErrorFields(error) });
    } finally {
      underWay.delete(id);
    }
  };
  scope.addEventListener('message', ({ data }) => {
    const message = data as WorkerCall;
    if (message.kind === 'abort') underWay.get(message.id)?.abort();
    else void obey(message.id, message.method, message.args);
  });
}
