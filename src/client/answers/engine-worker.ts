// The Worker's side of worker-engine.ts. An app's Worker is two lines:
//   import * as ort from 'onnxruntime-web/wasm';
//   serveEngine(self, ort);

import type { Ort } from '../../inference/core/device-model.ts';
import { systemClock } from '../../lib/clock.ts';
import { serveCalls } from '../workers/serve-calls.ts';
import type { MessagePeer } from '../workers/worker-messages.ts';
import type { EngineBase, EngineQuestion } from './device-engine.ts';
import { type LocalEngineOptions, openLocalEngine } from './local-engine.ts';

/** Serves the page's calls with this onnxruntime until the Worker ends. */
export function serveEngine(scope: MessagePeer, ort: Ort, options: LocalEngineOptions = {}): void {
  // a message that aborts is read between two steps only
  const rest = () => systemClock.sleep(0);
  const engine = openLocalEngine(ort, { rest, ...options });
  serveCalls(scope, {
    open: (_call, base: EngineBase) => engine.open(base),
    hasAdapter: (_call, sha256: string) => engine.hasAdapter(sha256),
    putAdapter: (_call, sha256: string, content: Parameters<typeof engine.putAdapter>[1]) =>
      engine.putAdapter(sha256, content),
    answer: ({ signal, say }, question: EngineQuestion) =>
      engine.answer(question, { onText: say, signal }),
    close: () => engine.close(),
  });
}
