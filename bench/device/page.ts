// A device in Chromium: the SDK in a page, engine and trainer in its Workers, the state in a fresh profile.

import type { Account } from '../../demo/phone.ts';
import { startDeviceSite } from '../../demo/phones/site.ts';
import { launchChromium } from '../../test/support/devices/chromium.ts';

/** Threads of a Worker's onnxruntime. */
export const THREADS = 2;

const PAGE = `
  import { openClient } from './src/client/client.ts';
  import { openBrowserStorage } from './src/client/storage/browser-storage.ts';
  import { openWorkerEngine } from './src/client/answers/worker-engine.ts';
  import { openWorkerTrainer } from './src/client/training/worker-trainer.ts';
  const start = () => new Worker('/worker.js', { type: 'module' });
  globalThis.openPhone = async (token) => {
    globalThis.phone = await openClient({
      url: location.origin, token: async () => token, storage: await openBrowserStorage('phone'),
      name: 'Phone', platform: 'web', webSocket: WebSocket, limits: { minTokensPerSecond: 0 },
      engine: openWorkerEngine(start), trainer: openWorkerTrainer(start),
    });
  };
  globalThis.isReady = true;`;

// one file for both: a Worker's first call says which it is
const WORKER = `
  import * as ort from 'onnxruntime-web/wasm';
  import { serveEngine } from './src/client/answers/engine-worker.ts';
  import { serveTrainer } from './src/client/training/trainer-worker.ts';
  ort.env.wasm.wasmPaths = { wasm: '/ort.wasm' };
  ort.env.wasm.numThreads = ${THREADS};
  addEventListener('message', ({ data }) => {
    (data.method === 'train' ? serveTrainer : serveEngine)(self, ort);
    dispatchEvent(new MessageEvent('message', { data }));
  }, { once: true });`;

/** A page whose client is open; `phone` in its scripts. */
export interface DevicePage {
  /** What a script gives. Rejects with what it throws, and when the browser ends. */
  ask<T>(script: string): Promise<T>;
  /** Resolves when a script gives true; it is asked again and again. */
  until(script: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens a device of the account's user. */
export async function openDevicePage({ url, token }: Account): Promise<DevicePage> {
  const site = await startDeviceSite(url, PAGE, { worker: WORKER });
  const browser = await launchChromium();
  const page = await browser.newPage();
  const ask = async <T>(script: string): Promise<T> => {
    try {
      return (await page.evaluate(script)) as T;
    } catch (cause) {
      if (browser.isConnected()) throw cause;
      // Playwright ends its browsers when this process is told to end, and then says only that the page is closed
      throw new Error('the browser ended, as it does when this process reaches a time limit', {
        cause,
      });
    }
  };
  await page.goto(`${site.url}/phone`);
  await page.waitForFunction('globalThis.isReady');
  await ask(`openPhone(${JSON.stringify(token)})`);
  return {
    ask,
    until: async (script) => {
      const again = `(async () => { while (!(await (${script}))) await new Promise((r) => setTimeout(r, 5)); })()`;
      await ask(again);
    },
    close: async () => {
      await browser.close();
      await site.close();
    },
  };
}

/** Installs the base. */
export async function installBase(page: DevicePage): Promise<void> {
  await page.ask('phone.installBase()');
  await page.until('phone.base().then((base) => base?.isInstalled)');
}
