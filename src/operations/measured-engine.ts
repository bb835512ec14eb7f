import type { Engine } from '../inference/engine-client.ts';
import type { EngineEvent, EngineRequest } from '../inference/engine-protocol.ts';
import type { Metrics } from './metrics.ts';

/** The same engine, its answers counted and timed. */
export function measuredEngine(engine: Engine, metrics: Metrics): Engine {
  return {
    warm: (adapter) => engine.warm(adapter),
    forget: (owner) => engine.forget(owner),
    close: () => engine.close(),
    generate: (request, signal) => measured(engine, metrics, { request, signal }),
  };
}

async function* measured(
  engine: Engine,
  metrics: Metrics,
  { request, signal }: { request: EngineRequest; signal: AbortSignal },
): AsyncGenerator<EngineEvent, void> {
  const stopTimer = metrics.timeToFirstToken.startTimer();
  let isFirst = true;
  let outcome = 'FAILED';
  try {
    for await (const event of engine.generate(request, signal)) {
      if (isFirst) stopTimer();
      isFirst = false;
      if (event.kind === 'done') {
        outcome = event.finishReason;
        metrics.tokens.inc(event.completionTokens);
      }
      yield event;
    }
  } finally {
    metrics.answers.inc({ outcome });
  }
}
