// Training in a browser: in a Worker of Chromium on onnxruntime-web, against the real server, with a tab that is closed
// in the middle.

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { type DeviceSite, startDeviceSite } from '../../demo/phones/site.ts';
import { START_MS, startTinyApp, type TinyApp } from '../support/api/tiny-app.ts';
import { launchChromium } from '../support/devices/chromium.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

const mails = readMailbox().map((mail) => ({ ...mail, kind: 'UPSERT' }));

/** What the page runs; `phone` is its client, `losses` what its training showed. */
const PAGE = `
  import { openClient } from './src/client/client.ts';
  import { openBrowserStorage } from './src/client/storage/browser-storage.ts';
  import { openWorkerEngine } from './src/client/answers/worker-engine.ts';
  import { openWorkerTrainer } from './src/client/training/worker-trainer.ts';
  const start = () => new Worker('/worker.js', { type: 'module' });
  globalThis.losses = [];
  globalThis.openPhone = async (token, name) => {
    globalThis.phone = await openClient({
      url: location.origin, token: async () => token, storage: await openBrowserStorage(name),
      name, platform: 'web', webSocket: WebSocket,
      engine: openWorkerEngine(start), trainer: openWorkerTrainer(start),
    });
  };
  globalThis.train = () => phone.train('subject', { onStep: ({ loss }) => losses.push(loss) });
  globalThis.startTraining = () => {
    train().then((outcome) => { globalThis.ended = outcome; }, (error) => { globalThis.ended = String(error); });
  };
  globalThis.isReady = true;`;

const WORKER = `
  import * as ort from 'onnxruntime-web/wasm';
  import { serveEngine } from './src/client/answers/engine-worker.ts';
  import { serveTrainer } from './src/client/training/trainer-worker.ts';
  ort.env.wasm.wasmPaths = { wasm: '/ort.wasm' };
  ort.env.wasm.numThreads = 2;
  let isTold = false;
  // one Worker's file for both: the first call says which it is
  addEventListener('message', (event) => {
    if (isTold) return;
    isTold = true;
    (event.data.method === 'train' ? serveTrainer : serveEngine)(self, ort);
    dispatchEvent(new MessageEvent('message', { data: event.data }));
  });`;

describe.skipIf(!shouldRunWith('chromium'))('training in Chromium', () => {
  let server: TinyApp;
  let site: DeviceSite;
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    server = await startTinyApp([], 'device');
    site = await startDeviceSite(server.app.url, PAGE, { worker: WORKER });
    browser = await launchChromium();
    context = await browser.newContext();
  }, START_MS);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await server?.close();
  });

  const openPage = async (name: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(`${site.url}/phone`);
    await page.waitForFunction('globalThis.isReady');
    const token = JSON.stringify(await server.token('ann'));
    // a page that was closed lets go of its storage a little later
    const opened = () =>
      page.evaluate(`openPhone(${token}, ${JSON.stringify(name)}).then(() => 'open', String)`);
    await expect.poll(opened).toBe('open');
    return page;
  };
  const withBase = async (page: Page) => {
    await page.evaluate('phone.installBase()');
    const isInstalled = () => page.evaluate('phone.base().then((base) => base?.isInstalled)');
    await expect.poll(isInstalled).toBe(true);
  };
  const countLosses = (page: Page) => page.evaluate('losses.length') as Promise<number>;
  /** With how training ended, so that a failure of this test says why it never came under way. */
  const progress = (page: Page) =>
    page.evaluate('({ isUnderWay: losses.length > 6, ended: globalThis.ended })');
  const statusOf = (page: Page) =>
    page.evaluate("phone.training('subject').then((it) => it?.status)");
  const versionOf = (page: Page) =>
    page.evaluate("phone.adapter('subject').then((held) => held?.version)");

  it('goes on after the tab was closed, publishes, and a second page receives and answers', async () => {
    const first = await openPage('one');
    await first.evaluate(`phone.push(${JSON.stringify(mails)})`);
    await withBase(first);
    // not awaited: the page ends before it does
    await first.evaluate('startTraining()');
    await expect.poll(() => progress(first)).toMatchObject({ isUnderWay: true });
    await first.close();

    const again = await openPage('one');
    expect(await statusOf(again)).toBe('TRAINING');
    const outcome = await again.evaluate('train()');
    expect(outcome).toMatchObject({ kind: 'trained', trained: { status: 'TRAINED' } });
    const all = (outcome as { trained: { result: { losses: number[] } } }).trained.result.losses;
    expect(await countLosses(again)).toBeLessThan(all.length);
    await expect.poll(() => statusOf(again)).toBe('PUBLISHED');

    const second = await openPage('two');
    await withBase(second);
    await expect.poll(() => versionOf(second)).toBe(1);
    const question = { mode: 'subject', input: { body: mails[0]?.data.body }, where: 'device' };
    const answer = await second.evaluate(`phone.complete(${JSON.stringify(question)})`);
    expect(answer).toMatchObject({ origin: 'DEVICE', adapter: { version: 1 } });
  }, 240_000);
});
