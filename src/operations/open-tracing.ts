// Sends the spans of lib/trace.ts to a collector that speaks OTLP over HTTP.

import { diag } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { setTracer } from '../lib/trace.ts';

/** Spans go out at least so often. */
const SEND_EVERY_MS = 1_000;

/** Starts to send the spans of this process; `role` tells its kind of process. What cannot be sent is dropped, which
 *  `onError` is told. Closing sends what is left. */
export function openTracing(
  { endpoint, role }: { endpoint: string; role: string },
  onError: (message: string) => void,
): { close(): Promise<void> } {
  const quiet = () => undefined;
  diag.setLogger({ error: onError, warn: onError, info: quiet, debug: quiet, verbose: quiet });
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'attune',
      'service.instance.id': `${role}-${process.pid}`,
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: SEND_EVERY_MS })],
  });
  setTracer(provider);
  return {
    close: async () => {
      setTracer(null);
      await provider.shutdown();
    },
  };
}
