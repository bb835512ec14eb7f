// The Worker's side of worker-engine.ts. An app's Worker is two lines:
//   import * as ort from 'onnxruntime-web/wasm';
//   serveEngine(self, ort);

import type { Ort } from '../inference/core/device-model.ts';
import { systemClock } from '../lib/clock.ts';
import type { EngineBase, EngineQuestion } from './device-engine.ts';
import { type LocalEngineOptions, openLocalEngine } from './local-engine.ts';
import { type MessagePeer, toErrorFields, type WorkerCall } from './worker-messages.ts';

/** Serves the page's calls with this onnxruntime until the Worker ends. */
export function serveEngine(scope: MessagePeer, ort: Ort, options: LocalEngineOptions = {}): void {
  // a message that aborts is read between two steps only
  const rest = () => systemClock.sleep(0);
  const engine = openLocalEngine(ort, { rest, ...options });
  const underWay = new Map<number, AbortController>();
  const methods: Readonly<Record<string, (call: Call, ...args: never[]) => Promise<unknown>>> = {
    open: (_call, base: EngineBase) => engine.open(base),
    hasAdapter: (_call, sha256: string) => engine.hasAdapter(sha256),
    putAdapter: (_call, sha256: string, content: Parameters<typeof engine.putAdapter>[1]) =>
      engine.putAdapter(sha256, content),
    answer: ({ signal, say }, question: EngineQuestion) =>
      engine.answer(question, { onText: say, signal }),
    close: () => engine.close(),
  };
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

/** What a call may use. */
interface Call {
  readonly signal: AbortSignal;
  say(event: unknown): void;
}
