// The whole SDK in a browser's page against the real server.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdapterStore, openAdapterStore } from '../../src/adapters/store.ts';
import { vaultOf } from '../../src/db/sealed-columns.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { publishTo } from '../adapters/fixture.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { launchChromium } from '../support/devices/chromium.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

const TENSORS = 'adapter_model.safetensors';

/** Long enough for a machine that does much else. */

/** What the page runs; `phone` is its client. */
const PAGE_SCRIPT = `
  import { openClient } from './src/client/client.ts';
  import { openBrowserStorage } from './src/client/storage/browser-storage.ts';
  globalThis.openPhone = async (token) => {
    globalThis.phone = await openClient({
      url: location.origin, token: async () => token, storage: await openBrowserStorage('phone'),
      name: 'Phone', platform: 'web', webSocket: WebSocket,
    });
  };`;

describe.skipIf(!shouldRunWith('chromium'))('in Chromium', () => {
  describeWithDatabase('a client', (database) => {
    let folder: string;
    let store: AdapterStore;
    let api: Api;
    let browser: Browser;
    let script: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'attune-browser-'));
      store = await openAdapterStore(folder, vaultOf(database().kysely));
      api = await startApi(database(), systemClock, store);
      const { outputFiles } = await build({
        stdin: { contents: PAGE_SCRIPT, resolveDir: '.', loader: 'ts' },
        bundle: true,
        format: 'iife',
        write: false,
      });
      script = outputFiles[0]?.text ?? '';
      browser = await launchChromium();
    });
    afterAll(async () => {
      await browser?.close();
      await api.close();
      await rm(folder, { recursive: true });
    });

    const publish = async (user: string, content: string) => {
      const trained = await mkdtemp(join(folder, 'trained-'));
      await writeFile(join(trained, 'adapter_config.json'), '{}');
      await writeFile(join(trained, TENSORS), content);
      await publishTo(database(), api.services, { subject: user }, (userId) =>
        store.put(trained, userId),
      );
    };

    /** Starts the client in a page that has just been opened. */
    const start = async (page: Page, user: string) => {
      await page.goto(`${api.url}/phone`);
      await page.addScriptTag({ content: script });
      await page.evaluate(`openPhone(${JSON.stringify(await api.token(user))})`);
    };

    /** The version in use, and its bytes as text. */
    const installed = (page: Page) =>
      page.evaluate(
        `phone.adapter('subject').then(async (adapter) => adapter &&
          [adapter.version, new TextDecoder().decode(await adapter.read('${TENSORS}'))])`,
      );

    it('pushes, installs what is signed for it, and finds it again when the page is opened anew (DEV-1, DEV-6)', async () => {
      const user = randomUUID();
      const page = await browser.newPage();
      await page.route(`${api.url}/phone`, (route) =>
        route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }),
      );
      await start(page, user);
      const change = {
        ...{ source: 'notes', recordId: 'n1', kind: 'UPSERT', data: { text: 'Buy oars' } },
        occurredAt: '2026-01-01T00:00:00.000Z',
      };
      await page.evaluate(`phone.push([${JSON.stringify(change)}])`);
      await expect.poll(() => page.evaluate('phone.pendingCount()')).toBe(0);
      await publish(user, 'one');
      await expect.poll(() => installed(page)).toEqual([1, 'one']);

      // closed without a word, as pages are
      await page.reload();
      await publish(user, 'two');
      await start(page, user);
      await expect.poll(() => installed(page)).toEqual([2, 'two']);
      const asUser = await api.client(user);
      const devices = async () => {
        const { viewer } = await asUser.ask(
          '{ viewer { devices { platform lastMutationId held { adapter { version } } } } }',
        );
        return viewer.devices;
      };
      // the device says so once it has installed it
      await expect
        .poll(devices)
        .toEqual([{ platform: 'web', lastMutationId: 1, held: [{ adapter: { version: 2 } }] }]);
      await page.close();
    });
  });
});
