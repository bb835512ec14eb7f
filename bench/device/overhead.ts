// The loop as a device sees it: from the server's word that it has the last change to the adapter in use in Chromium,
// without the time that the trainer took.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { say } from '../../demo/show.ts';
import {
  startTraceCollector,
  type TraceCollector,
} from '../../test/support/servers/trace-collector.ts';
import { median } from '../decode/figure.ts';
import { manyMails } from '../train/mails.ts';
import { type DevicePage, openDevicePage } from './page.ts';
import { startBenchServer, writeModes } from './server.ts';
import { KEEP_REQUESTS, type PageStage, stageLines } from './stages.ts';

const MODE = 'subject';
const MAILS = 60;
/** Each run learns from one more mail. */
const RUNS = 3;

/** What was measured. */
export interface LoopOverhead {
  /** Milliseconds of each run. */
  readonly all: readonly number[];
  readonly median: number;
  /** Bytes of the adapter that the device fetched. */
  readonly adapterBytes: number;
}

/** Pushes mails and then, run after run, one more. The mode waits for nothing (no debounce), and its runs are short. */
export async function measureOverhead(model: string): Promise<LoopOverhead> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-device-loop-'));
  const log: string[] = [];
  try {
    const lines = {
      training: '{ learningRate: 0.001, epochs: 1, batchSize: 2, maxTokens: 160 }',
      trigger: '{ debounceMs: 0 }',
      // whatever was learnt is published: what is measured is the way there
      gate: '{ marginNats: 100.0, minHoldout: 8 }',
    };
    await writeModes(join(folder, 'modes'), [{ from: MODE, lines }]);
    const onLog = (line: string) => void log.push(line);
    const collector = await startTraceCollector();
    try {
      const traces = collector.url;
      const server = await startBenchServer(folder, { model, modes: [MODE], onLog, traces });
      try {
        const page = await openDevicePage(server.account);
        try {
          await page.ask(`(() => {${KEEP_REQUESTS}})()`);
          return await runAll(page, log, collector);
        } finally {
          await page.close();
        }
      } finally {
        await server.close();
      }
    } finally {
      await collector.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runAll(
  page: DevicePage,
  log: readonly string[],
  { spans }: TraceCollector,
): Promise<LoopOverhead> {
  const mails = manyMails(MAILS + RUNS - 1);
  const all: number[] = [];
  let adapterBytes = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const pushed = run === 0 ? mails.slice(0, MAILS) : mails.slice(MAILS + run - 1, MAILS + run);
    const seen = trainerTimes(log).length;
    const { ms, bytes, since, stages } = await page.ask<Lag>(lagScript(pushed, run));
    const trainerMs = await trainerTime(log, seen);
    all.push(ms - trainerMs);
    adapterBytes = bytes;
    await sent(spans, run + 1);
    say(`run ${run + 1}: ${ms.toFixed(0)} ms, ${trainerMs} of them the trainer's`);
    for (const line of stageLines(since, spans, stages)) say(line);
  }
  return { all, median: median(all), adapterBytes };
}

/** What one run's script gives. */
interface Lag {
  readonly ms: number;
  readonly bytes: number;
  /** When the last change was acknowledged, in milliseconds since the Unix epoch. */
  readonly since: number;
  readonly stages: readonly PageStage[];
}

/** Waits until the spans of so many published runs are there: they are sent once a second. */
async function sent(spans: TraceCollector['spans'], runs: number): Promise<void> {
  while (spans.filter(({ name }) => name === 'run').length < runs)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Milliseconds from the last acknowledged change to the next version of the adapter in use. */
function lagScript(mails: ReturnType<typeof manyMails>, versionBefore: number): string {
  const changes = mails.map(({ recordId, ...data }) => ({
    ...{ source: 'mail.sent', kind: 'UPSERT', occurredAt: '2026-01-01T00:00:00Z', recordId },
    data: { to: ['ann@example.org'], ...data },
  }));
  return `(async () => {
    const rest = () => new Promise((resolve) => setTimeout(resolve, 2));
    await phone.push(${JSON.stringify(changes)});
    while ((await phone.pendingCount()) > 0) await rest();
    const acknowledgedAt = performance.now();
    const held = () => phone.adapter('${MODE}');
    while (((await held())?.version ?? 0) <= ${versionBefore}) await rest();
    const ms = performance.now() - acknowledgedAt;
    const { files } = await held();
    const wire = files.find(({ name }) => name.endsWith('.int8'));
    const since = performance.timeOrigin + acknowledgedAt;
    return { ms, bytes: wire.sizeBytes, since, stages: globalThis.stages.splice(0) };
  })()`;
}

/** How long the trainer took for the adapter after so many; the line may come after the adapter. */
async function trainerTime(log: readonly string[], after: number): Promise<number> {
  for (;;) {
    const ms = trainerTimes(log)[after];
    if (ms !== undefined) return ms;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** How long the trainer took for each published adapter so far. */
function trainerTimes(log: readonly string[]): readonly number[] {
  return log
    .filter((line) => line.startsWith('{'))
    .map((line) => (JSON.parse(line) as { readonly trainerMs?: number }).trainerMs)
    .filter((ms): ms is number => ms !== undefined);
}
