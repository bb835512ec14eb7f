// What the work at hand belongs to: ids that go into every line of the log, and spans of a trace where a tracer was set
// (operations/open-tracing.ts). A trace crosses processes as W3C's `traceparent`, which holds ids and nothing else.

import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import {
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';

/** Names of what is worked on, such as `runId`: ids and codes, nothing that a user wrote. */
export type Ids = Readonly<Record<string, string | number>>;

/** How a piece of work begins. */
export interface TraceStart {
  readonly ids?: Ids;
  /** What it follows from in another process or at another time; undefined: from the work around it. */
  readonly parent?: string | null | undefined;
}

interface Scope {
  readonly span: Span;
  readonly ids: Ids;
}

const scopes = new AsyncLocalStorage<Scope>();
let isTracing = false;
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Sets where spans go from now on; null: nowhere. */
export function setTracer(provider: TracerProvider | null): void {
  isTracing = provider !== null;
  trace.disable();
  if (provider !== null) trace.setGlobalTracerProvider(provider);
}

/** Does the work as a span of its own, with the ids of the work around it and these. */
export async function traced<T>(
  name: string,
  start: TraceStart,
  work: () => Promise<T>,
): Promise<T> {
  const scope = open(name, start);
  try {
    return await scopes.run(scope, work);
  } catch (error) {
    const message = error instanceof Error ? error.name : typeof error;
    scope.span.setStatus({ code: SpanStatusCode.ERROR, message });
    throw error;
  } finally {
    scope.span.end();
  }
}

/** Does a client's request as `traced` does, under an id of its own and as part of the client's trace if it names one. Without
 *  a tracer it only does it: keeping the work at hand costs a tenth of a microsecond for every promise. */
export function tracedRequest<T>(
  name: string,
  work: () => Promise<T>,
  parent?: string | undefined,
): Promise<T> {
  if (!isTracing) return work();
  return traced(name, { ids: { requestId: randomUUID() }, parent }, work);
}

/** Marks a moment of the trace that it follows from, for which nothing has to be waited. Without a tracer it costs nothing. */
export function mark(name: string, parent: string | null): void {
  if (isTracing) open(name, { parent }).span.end();
}

function open(name: string, { ids = {}, parent }: TraceStart): Scope {
  const around = scopes.getStore();
  const context = parent === undefined ? around?.span.spanContext() : contextOf(parent);
  const attributes = Object.fromEntries(
    Object.entries(ids).map(([key, value]) => [`attune.${key}`, value]),
  );
  const span = trace
    .getTracer('attune')
    .startSpan(
      name,
      { attributes },
      context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context),
    );
  return { span, ids: { ...around?.ids, ...ids } };
}

/** The work at hand, for whoever goes on with it elsewhere; null when it is not traced. */
export function currentTrace(): string | null {
  const context = scopes.getStore()?.span.spanContext();
  if (context === undefined || !isSpanContextValid(context)) return null;
  const flags = context.traceFlags.toString(16).padStart(2, '0');
  return `00-${context.traceId}-${context.spanId}-${flags}`;
}

/** The ids of the work at hand, for a line of the log. */
export function logIds(): Ids {
  const scope = scopes.getStore();
  if (scope === undefined) return {};
  const context = scope.span.spanContext();
  if (!isSpanContextValid(context)) return scope.ids;
  return { ...scope.ids, traceId: context.traceId, spanId: context.spanId };
}

/** Undefined for what is no `traceparent`, as for none. */
function contextOf(parent: string | null): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(parent ?? '') ?? [];
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(context) ? context : undefined;
}
