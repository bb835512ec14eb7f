// Where the time of the loop goes: what the server's spans and the page's requests say, on one clock, beside the last
// acknowledged change.

import type { CollectedSpan } from '../../test/support/servers/trace-collector.ts';

/** A request of the page's, or something else that it did: milliseconds since the Unix epoch. */
export interface PageStage {
  readonly name: string;
  readonly begun: number;
  readonly ended: number;
}

/** Keeps the page's requests from now on, in `stages`; a part of the page's script. */
export const KEEP_REQUESTS = `
  globalThis.stages = [];
  const now = () => performance.timeOrigin + performance.now();
  const nameOf = (input, init) =>
    typeof init?.body === 'string' && input.endsWith('/graphql')
      ? JSON.parse(init.body).operationName
      : input.replace(location.origin, '').replace(/[0-9a-f]{64}/, '<sha256>').slice(0, 60);
  const plain = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const stage = { name: nameOf(String(input), init), begun: now() };
    const response = await plain(input, init);
    const { body } = response;
    const done = () => { stage.ended = now(); stages.push(stage); };
    if (body === null) { done(); return response; }
    const counted = body.pipeThrough(new TransformStream({ flush: done }));
    const { status, statusText, headers } = response;
    return new Response(counted, { status, statusText, headers });
  };`;

/** The stages in the order in which they began, one line each: milliseconds after `since`, how long, and what. */
export function stageLines(
  since: number,
  spans: readonly CollectedSpan[],
  page: readonly PageStage[],
): readonly string[] {
  const server = spans.map(({ name, startTimeUnixNano, endTimeUnixNano }) => ({
    name: `server: ${name}`,
    begun: Number(startTimeUnixNano) / 1e6,
    ended: Number(endTimeUnixNano) / 1e6,
  }));
  const device = page.map((stage) => ({ ...stage, name: `device: ${stage.name}` }));
  return [...server, ...device]
    .filter(({ ended }) => ended > since)
    .sort((a, b) => a.begun - b.begun)
    .map(({ name, begun, ended }) => {
      const [at, ms] = [begun - since, ended - begun].map((n) => n.toFixed(0).padStart(7));
      return `${at} ms, ${ms} ms long: ${name}`;
    });
}
