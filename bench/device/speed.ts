// The same question to the SDK's engine on onnxruntime-web in Chromium and on onnxruntime-node here, in turns.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { openLocalEngine } from '../../src/client/answers/local-engine.ts';
import { openClient } from '../../src/client/client.ts';
import { openNodeStorage } from '../../src/client/storage/node-storage.ts';
import type { Base } from '../../src/model/base/base-package.ts';
import { median } from '../decode/figure.ts';
import { installBase, openDevicePage, THREADS } from './page.ts';
import { startBenchServer } from './server.ts';
import { heldOutPrompts, seedVoices, VOICE_MODES } from './voices.ts';

const ROUNDS = 5;
const USER = 'demo';
const [MODE] = VOICE_MODES as [string, ...string[]];

/** Tokens a second of whole answers, their prompts included: medians. */
export interface DecodeSpeed {
  readonly web: number;
  readonly node: number;
  /** Web over node of the same question: median. */
  readonly ratio: number;
}

/** An answer as it is timed. */
interface Timed {
  readonly tokens: number;
  readonly ms: number;
}

/** Asks both the same questions, one after the other. */
export async function measureDecode(options: {
  readonly base: Base;
  readonly model: string;
  readonly work: string;
}): Promise<DecodeSpeed> {
  const { base, model, work } = options;
  const folder = await mkdtemp(join(tmpdir(), 'attune-device-speed-'));
  const closers: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    await seedVoices(folder, { base, user: USER, work });
    const server = await startBenchServer(folder, { model, modes: VOICE_MODES });
    closers.unshift(() => server.close());
    const page = await openDevicePage(server.account);
    closers.unshift(() => page.close());
    await installBase(page);
    await page.until(`phone.adapter('${MODE}').then((held) => held !== null)`);
    const native = await openNodeDevice(server.account, join(folder, 'phone'));
    closers.unshift(() => native.close());
    const rounds: { readonly web: Timed; readonly node: Timed }[] = [];
    // the first round is for warming up
    for (const text of (await heldOutPrompts()).slice(0, ROUNDS + 1)) {
      const request = { mode: MODE, input: { text }, where: 'device' as const, topLogprobs: 0 };
      const web = await page.ask<Timed>(`(async () => {
        const startedAt = performance.now();
        const { logprobs } = await phone.complete(${JSON.stringify(request)});
        return { tokens: logprobs.length, ms: performance.now() - startedAt };
      })()`);
      const startedAt = performance.now();
      const { logprobs } = await native.complete(request);
      const node = { tokens: logprobs?.length ?? 0, ms: performance.now() - startedAt };
      rounds.push({ web, node });
    }
    const timed = rounds.slice(1);
    return {
      web: median(timed.map(({ web }) => perSecond(web))),
      node: median(timed.map(({ node }) => perSecond(node))),
      ratio: median(timed.map(({ web, node }) => perSecond(web) / perSecond(node))),
    };
  } finally {
    for (const close of closers) await close();
  }
}

function perSecond({ tokens, ms }: Timed): number {
  return (1000 * tokens) / ms;
}

async function openNodeDevice(account: { url: string; token: string }, home: string) {
  const client = await openClient({
    ...{ url: account.url, token: () => Promise.resolve(account.token) },
    ...{ name: 'Node', platform: 'node', webSocket: null, limits: { minTokensPerSecond: 0 } },
    storage: await openNodeStorage(home),
    engine: openLocalEngine(ort, { threads: THREADS }),
  });
  await client.installBase();
  const isReady = async () =>
    (await client.base())?.isInstalled === true && (await client.adapter(MODE)) !== null;
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 100));
  return client;
}
