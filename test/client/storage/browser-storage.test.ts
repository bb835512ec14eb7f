// The storage of browsers in a real one: the contract runs here, the storage there.

import { randomUUID } from 'node:crypto';
import { build } from 'esbuild';
import type { Browser, JSHandle, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeviceStorage } from '../../../src/client/storage/storage.ts';
import { launchChromium } from '../../support/devices/chromium.ts';
import { shouldRunWith } from '../../support/servers/programs.ts';
import { storageContract } from './storage-contract.ts';

/** A page of this address may use everything that a secure one may. */
const ORIGIN = 'http://localhost:1/';

describe.skipIf(!shouldRunWith('chromium'))('storage in Chromium', () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: ['src/client/storage/browser-storage.ts'],
      bundle: true,
      format: 'iife',
      globalName: 'attune',
      write: false,
    });
    browser = await launchChromium();
    page = await browser.newPage();
    await page.route(ORIGIN, (route) => route.fulfill({ contentType: 'text/html', body: '' }));
    await page.goto(ORIGIN);
    await page.addScriptTag({ content: outputFiles[0]?.text ?? '' });
  });
  afterAll(() => browser?.close());

  const open = async (name: string, globals = 'globalThis') => {
    const opened = `attune.openBrowserStorage(${JSON.stringify(name)}, ${globals})`;
    return remote((await page.evaluateHandle(opened)) as JSHandle<DeviceStorage>);
  };

  describe('with the private file system', () => {
    storageContract(() => {
      const name = randomUUID();
      return () => open(name);
    });

    it('keeps large files outside of the database', async () => {
      const { files, close } = await open('large');
      await files.append('big', new Uint8Array(10));
      const found = await page.evaluate(`navigator.storage.getDirectory()
        .then((root) => root.getDirectoryHandle('attune-large'))
        .then((folder) => folder.getDirectoryHandle('pieces'))
        .then((pieces) => pieces.getDirectoryHandle('big')).then(({ name }) => name)`);
      expect(found).toBe('big');
      await close();
    });

    it('takes a file for whole only when it was joined to its end (DEV-6)', async () => {
      const { files, close } = await open('torn');
      await files.append('x.part', Uint8Array.from([1, 2]));
      // as if the page had been closed while it joined the pieces
      await page.evaluate(`navigator.storage.getDirectory()
        .then((root) => root.getDirectoryHandle('attune-torn'))
        .then((folder) => folder.getDirectoryHandle('whole'))
        .then((whole) => whole.getFileHandle('x', { create: true }))`);
      expect(await files.size('x')).toBeNull();
      await files.rename('x.part', 'x');
      expect(await files.read('x')).toEqual(Uint8Array.from([1, 2]));
      expect(await files.size('x.part')).toBeNull();
      await close();
    });
  });

  describe('without it', () => {
    storageContract(() => {
      const name = randomUUID();
      return () => open(name, '{ indexedDB, IDBKeyRange, navigator: { locks: navigator.locks } }');
    });
  });

  it('is opened by one page at a time', async () => {
    const name = randomUUID();
    const first = await open(name);
    await expect(open(name)).rejects.toThrow('another page');
    await first.close();
    await (await open(name)).close();
  });

  it('writes all of the changes or none', async () => {
    const name = randomUUID();
    // a function cannot be stored, and takes what was written before it along
    const written = page.evaluate(
      `attune.openBrowserStorage('${name}').then(async (storage) => {
        const failure = await storage.write([['a', 1], ['b', () => 1]]).catch(String);
        return [failure, await storage.get('a')];
      })`,
    );
    expect(await written).toEqual([expect.stringContaining('could not be cloned'), undefined]);
  });
});

/** The storage in the page, as if it were here. */
function remote(handle: JSHandle<DeviceStorage>): DeviceStorage {
  return {
    get: (key) => handle.evaluate((storage, k) => storage.get(k), key),
    list: (prefix) => handle.evaluate((storage, p) => storage.list(p), prefix),
    compact: () => handle.evaluate((storage) => storage.compact()),
    write: (writes) =>
      handle.evaluate((storage, all) => storage.write(all), writes as [string, never][]),
    files: {
      size: (name) => handle.evaluate(({ files }, n) => files.size(n), name),
      append: (name, bytes) =>
        handle.evaluate(({ files }, [n, list]) => files.append(n, Uint8Array.from(list)), [
          name,
          [...bytes],
        ] as const),
      putNamed: (name, bytes) =>
        handle.evaluate(({ files }, [n, list]) => files.putNamed(n, Uint8Array.from(list)), [
          name,
          [...bytes],
        ] as const),
      read: async (name) => {
        const list = await handle.evaluate(
          async ({ files }, n) => [...(await files.read(n))],
          name,
        );
        return Uint8Array.from(list);
      },
      sha256: (name) => handle.evaluate(({ files }, n) => files.sha256(n), name),
      rename: (from, to) =>
        handle.evaluate(({ files }, [a, b]) => files.rename(a, b), [from, to] as const),
      remove: (name) => handle.evaluate(({ files }, n) => files.remove(n), name),
      list: () => handle.evaluate(({ files }) => files.list()),
    },
    close: () => handle.evaluate((storage) => storage.close()),
  };
}
