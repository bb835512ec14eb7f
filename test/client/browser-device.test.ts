// Answers in a browser: the base in a Worker of Chromium, on onnxruntime-web, against the real server.

import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { type DeviceSite, startDeviceSite } from '../../demo/phones/site.ts';
import { START_MS, startTinyApp, type TinyApp } from '../support/api/tiny-app.ts';
import { launchChromium } from '../support/devices/chromium.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

const bodies = readMailbox().map(({ data }) => data.body);

/** What the page runs; `phone` is its client. */
const PAGE = `
  import { openClient } from './src/client/client.ts';
  import { openBrowserStorage } from './src/client/storage/browser-storage.ts';
  import { openWorkerEngine } from './src/client/answers/worker-engine.ts';
  globalThis.workers = [];
  const start = () => {
    const worker = new Worker('/worker.js', { type: 'module' });
    globalThis.workers.push(worker);
    return worker;
  };
  globalThis.openPhone = async (token) => {
    globalThis.phone = await openClient({
      url: location.origin, token: async () => token, storage: await openBrowserStorage('phone'),
      name: 'Phone', platform: 'web', webSocket: WebSocket, engine: openWorkerEngine(start),
    });
  };
  globalThis.isReady = true;`;

describe.skipIf(!shouldRunWith('chromium'))('a device in Chromium', () => {
  let server: TinyApp;
  let site: DeviceSite;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    server = await startTinyApp(['ann']);
    site = await startDeviceSite(server.app.url, PAGE, { threads: 2 });
    browser = await launchChromium();
    page = await browser.newPage();
    await start();
  }, START_MS);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await server?.close();
  });

  const start = async () => {
    await page.goto(`${site.url}/phone`);
    await page.waitForFunction('globalThis.isReady');
    await page.evaluate(`openPhone(${JSON.stringify(await server.token('ann'))})`);
  };

  const complete = (body: string, more: Readonly<Record<string, unknown>> = {}) =>
    page.evaluate(
      `phone.complete(${JSON.stringify({ mode: 'subject', input: { body }, ...more })})`,
    );

  it('installs base and adapter and answers in its Worker as the cloud does, token for token', async () => {
    expect(await page.evaluate('crossOriginIsolated')).toBe(true);
    expect(await complete(bodies[0] ?? '')).toMatchObject({ origin: 'CLOUD', whyCloud: 'NO_BASE' });
    await page.evaluate('phone.installBase()');
    const installed = () => page.evaluate('phone.base().then((base) => base?.isInstalled)');
    await expect.poll(installed).toBe(true);
    const version = () => page.evaluate("phone.adapter('subject').then((held) => held?.version)");
    await expect.poll(version).toBe(1);
    for (const body of bodies.slice(0, 5)) {
      const here = await complete(body);
      expect(here).toMatchObject({ origin: 'DEVICE', adapter: { version: 1 } });
      const { text } = (await complete(body, { where: 'cloud' })) as { text: string };
      expect(here).toMatchObject({ text });
    }
  });

  it('answers offline, in pieces, and when the page was opened anew', async () => {
    const { text } = (await complete(bodies[5] ?? '')) as { text: string };
    await start();
    await page.evaluate('phone.pause()');
    const body = JSON.stringify(bodies[5]);
    const pieces = await page.evaluate(`(async () => {
      const pieces = [];
      const input = { mode: 'subject', input: { body: ${body} }, where: 'device' };
      await phone.complete(input, { onText: (piece) => pieces.push(piece) });
      return pieces;
    })()`);
    expect((pieces as string[]).length).toBeGreaterThan(1);
    expect((pieces as string[]).join('')).toBe(text);
  });

  it('stops when it is told to, and comes back when its Worker dies', async () => {
    const stopped = page.evaluate(`(async () => {
      const controller = new AbortController();
      const hooks = { onText: () => controller.abort(new Error('enough')), signal: controller.signal };
      return await phone.complete({ mode: 'subject', input: { body: 'Tea?' } }, hooks).catch(String);
    })()`);
    expect(await stopped).toContain('enough');
    await page.evaluate(
      `workers.at(-1).dispatchEvent(new ErrorEvent('error', { message: 'out of memory' }))`,
    );
    // paused as it is, the device has nobody else to ask
    const failed = page.evaluate(
      `phone.complete({ mode: 'subject', input: { body: 'Tea?' } }).catch(String)`,
    );
    expect(await failed).toContain('paused');
    await page.evaluate('phone.resume()');
    expect(await complete('Tea?')).toMatchObject({ origin: 'DEVICE' });
    expect(await page.evaluate('workers.length')).toBe(2);
  });

  it('runs the onnxruntime that the server runs', () => {
    const versionOf = (name: string) =>
      (
        createRequire(import.meta.url)(`../../node_modules/${name}/package.json`) as {
          version: string;
        }
      ).version;
    expect(versionOf('onnxruntime-web')).toBe(versionOf('onnxruntime-node'));
  });
});
