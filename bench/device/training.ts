// Training in Chromium: short mails of a mode that devices train, from the call to the gate's verdict.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { splitOf } from '../../src/dataset/core/split.ts';
import { median } from '../decode/figure.ts';
import { manyMails } from '../train/mails.ts';
import { type DevicePage, installBase, openDevicePage } from './page.ts';
import { startBenchServer, writeModes } from './server.ts';

const MODE = 'subject';
/** To learn from; the mails that the splits hold out and validate by come on top. */
const EXAMPLES = 100;
const EPOCHS = 2;
const TOP_LAYERS = 8;

/** What was measured. */
export interface DeviceTraining {
  readonly examples: number;
  readonly steps: number;
  /** Median, in seconds. */
  readonly step: number;
  /** From the call to the verdict: prefix, steps, validation and gate. */
  readonly seconds: number;
  readonly verdict: string;
}

interface Outcome {
  readonly stepMs: readonly number[];
  readonly ms: number;
  readonly status: string;
  readonly examples: number;
  readonly verdict: { readonly loss: number; readonly baseLoss: number };
}

/** Trains once. */
export async function measureTraining(model: string): Promise<DeviceTraining> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-device-train-'));
  try {
    const training = `{ learningRate: 0.002, epochs: ${EPOCHS}, batchSize: 4, maxTokens: 160, where: device }`;
    const lora = `{ rank: 8, alpha: 16, targets: all, topLayers: ${TOP_LAYERS} }`;
    const lines = { objective: 'SFT', training, lora };
    await writeModes(join(folder, 'modes'), [{ from: MODE, lines }]);
    const server = await startBenchServer(folder, { model, modes: [MODE] });
    try {
      const page = await openDevicePage(server.account);
      try {
        return await trainIn(page);
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

async function trainIn(page: DevicePage): Promise<DeviceTraining> {
  await installBase(page);
  await page.ask(`phone.push(${JSON.stringify(mailsToTrainOn())})`);
  const outcome = await page.ask<Outcome>(`(async () => {
    const startedAt = performance.now();
    const at = [];
    const { trained } = await phone.train('${MODE}', { onStep: () => at.push(performance.now()) });
    const { status, result } = trained;
    const stepMs = at.slice(1).map((time, i) => time - at[i]);
    return { ms: performance.now() - startedAt, stepMs, status, ...result };
  })()`);
  const { stepMs, ms, status, examples, verdict } = outcome;
  const loss = (nats: number) => nats.toFixed(3);
  return {
    examples,
    steps: stepMs.length + 1,
    step: median(stepMs) / 1000,
    seconds: ms / 1000,
    verdict: `${status}: held-out loss ${loss(verdict.baseLoss)} to ${loss(verdict.loss)}`,
  };
}

/** The first mails of the endless mailbox of which so many are to be learnt from. */
function mailsToTrainOn() {
  const isLearnt = ({ recordId }: { recordId: string }) =>
    splitOf('mail.sent', recordId) === 'train';
  const mails = manyMails(2 * EXAMPLES);
  const last = mails.filter(isLearnt)[EXAMPLES - 1];
  const count = last === undefined ? mails.length : mails.indexOf(last) + 1;
  return mails.slice(0, count).map(({ recordId, ...data }) => ({
    ...{ source: 'mail.sent', kind: 'UPSERT', occurredAt: '2026-01-01T00:00:00Z', recordId },
    data: { to: ['ann@example.org'], ...data },
  }));
}
