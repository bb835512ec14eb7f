// The loop as a device sees it: from the server's word that it has the last change to the adapter in use in Chromium,
// without the time that the trainer took.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../decode/figure.ts';
import { manyMails } from '../train/mails.ts';
import { type DevicePage, openDevicePage } from './page.ts';
import { startBenchServer, writeModes } from './server.ts';

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
    const server = await startBenchServer(folder, { model, modes: [MODE], onLog });
    try {
      const page = await openDevicePage(server.account);
      try {
        return await runAll(page, log);
      } finally {
        await page.close();
      }
    } finally {
      await server.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runAll(page: DevicePage, log: readonly string[]): Promise<LoopOverhead> {
  const mails = manyMails(MAILS + RUNS - 1);
  const all: number[] = [];
  let adapterBytes = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const pushed = run === 0 ? mails.slice(0, MAILS) : mails.slice(MAILS + run - 1, MAILS + run);
    const seen = trainerTimes(log).length;
    const result = await page.ask<{ ms: number; bytes: number }>(lagScript(pushed, run));
    all.push(result.ms - (await trainerTime(log, seen)));
    adapterBytes = result.bytes;
  }
  return { all, median: median(all), adapterBytes };
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
    return { ms, bytes: wire.sizeBytes };
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
