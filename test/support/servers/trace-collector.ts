// A collector of traces: takes what processes send over OTLP and HTTP, as JSON.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A piece of work that was reported. */
export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  /** Nanoseconds since the Unix epoch, as digits. */
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  /** Which process it was: its role and number. */
  readonly process: string;
}

/** All spans that were sent to its URL so far. */
export interface TraceCollector {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** What was sent, as it came. */
  readonly bodies: string[];
  close(): Promise<void>;
}

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly { key: string; value: { stringValue?: string } }[];
    };
    readonly scopeSpans: readonly { readonly spans: readonly CollectedSpan[] }[];
  }[];
}

/** Starts a collector. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  const bodies: string[] = [];
  const take = (body: string) => {
    bodies.push(body);
    for (const { resource, scopeSpans } of (JSON.parse(body) as Sent).resourceSpans) {
      const name = resource.attributes.find(({ key }) => key === 'service.instance.id');
      const process = name?.value.stringValue ?? '';
      for (const span of scopeSpans.flatMap((scope) => scope.spans))
        spans.push({ ...span, process });
    }
  };
  const server = createServer((request, response) => {
    text(request).then(
      (body) => {
        take(body);
        response.setHeader('content-type', 'application/json').end('{}');
      },
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
