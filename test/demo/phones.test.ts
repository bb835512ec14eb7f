// The page of `npm run demo:phones` in Chromium, on the whole server with the tiny base.

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePhoneModes } from '../../demo/phones/phone-modes.ts';
import type { DeviceSite } from '../../demo/phones/site.ts';
import { startPhonesSite } from '../../demo/phones/site-files.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { START_MS, startTinyApp, type TinyApp } from '../support/api/tiny-app.ts';
import { launchChromium } from '../support/devices/chromium.ts';
import { shouldRunWith } from '../support/servers/programs.ts';

describe.skipIf(!shouldRunWith('chromium'))('the page with two phones', () => {
  let server: TinyApp;
  let site: DeviceSite;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let api: ApiClient;
  const errors: string[] = [];
  beforeAll(async () => {
    server = await startTinyApp(['demo'], (dir) => writePhoneModes(dir, { epochs: 1 }));
    const account = { url: server.app.url, token: await server.token('demo') };
    site = await startPhonesSite(account);
    api = new ApiClient(account.url, account.token);
    browser = await launchChromium();
    context = await browser.newContext({ viewport: { width: 900, height: 1200 } });
    page = await openPage();
  }, START_MS);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await server?.close();
  });

  const openPage = async () => {
    const opened = await context.newPage();
    opened.on('pageerror', (error) => errors.push(String(error)));
    await opened.goto(`${site.url}/phone`);
    await opened.waitForSelector('body[data-ready]');
    return opened;
  };
  const text = (selector: string, on = page) => on.locator(selector).textContent();
  const shown = (selector: string, part: string, on = page) =>
    expect.poll(() => text(selector, on)).toContain(part);
  const dataOf = (selector: string, name: string) =>
    page.locator(selector).getAttribute(`data-${name}`);
  const installBase = async (phone: string) => {
    await page.click(`${phone} [name=base]`);
    await expect.poll(() => dataOf(`${phone} [data-base]`, 'base')).toBe('true');
  };
  const answers = () => page.locator('#phone .answer[data-origin]');
  const ratings = async () => {
    const { viewer } = await api.ask(
      '{ viewer { completions { edges { node { text rating { verdict better } } } } } }',
    );
    return viewer.completions.edges.flatMap(({ node }: { node: { rating: unknown } }) => {
      return node.rating ?? [];
    });
  };

  it('takes mails, keeps them in flight mode, and answers on the phone as in the cloud', async () => {
    for (const phone of ['#phone', '#tablet'])
      await expect.poll(() => dataOf(`${phone} [data-version]`, 'version')).toBe('1');
    await page.locator('#phone [name=flight]').setChecked(true, { force: true });
    await page.fill('#phone [name=subject]', 'Boat');
    await page.fill('#phone [name=body]', 'The boat is out of the water.');
    await page.click('#phone [name=save]');
    await shown('#phone [data-show=queue]', '1 mail waiting');
    await page.locator('#phone [name=flight]').setChecked(false, { force: true });
    await shown('#phone [data-show=queue]', 'Everything is sent.');
    await shown('#phone [data-show=run]', 'about forty mails are needed');

    await installBase('#phone');
    await page.click('#phone [name=ask]');
    await shown('#phone [data-show=voice]', 'Phone and cloud say the same');
    expect(await answers().count()).toBe(2);
    expect(await answers().nth(0).getAttribute('data-origin')).toBe('DEVICE');
    expect(await answers().nth(1).getAttribute('data-origin')).toBe('CLOUD');
  });

  it('takes a thumb, a better text and the preferred of several answers (DEV-24)', async () => {
    await answers().nth(0).getByRole('button', { name: 'Good answer' }).click();
    await answers().nth(1).getByRole('button', { name: 'Better text' }).click();
    await answers().nth(1).locator('[name=better]').fill('Out of the water');
    await answers().nth(1).getByRole('button', { name: 'Send' }).click();
    await expect.poll(ratings).toEqual(
      expect.arrayContaining([
        { verdict: 'UP', better: null },
        { verdict: null, better: 'Out of the water' },
      ]),
    );
    await page.click('#phone [name=another]');
    await expect.poll(() => answers().count()).toBe(3);
    const prefer = answers().nth(2).getByRole('button', { name: 'Prefer this one' });
    await prefer.click();
    await expect.poll(() => prefer.getAttribute('aria-pressed')).toBe('true');
    const pairs = async () => {
      const { viewer } = await api.ask(
        '{ viewer { mode(key: "subject") { dataset { preferenceCount } } } }',
      );
      return viewer.mode.dataset?.preferenceCount;
    };
    await expect.poll(pairs).toBeGreaterThan(0);
  });

  it('answers on the phone alone in flight mode', async () => {
    await page.locator('#phone [name=flight]').setChecked(true, { force: true });
    await page.click('#phone [name=ask]');
    await shown('#phone [data-show=answers]', 'No answer');
    expect(await answers().count()).toBe(1);
    expect(await answers().nth(0).getAttribute('data-origin')).toBe('DEVICE');
    await page.locator('#phone [name=flight]').setChecked(false, { force: true });
  });

  it('trains on the phone, through a reload, and the other phone gets the adapter', async () => {
    await installBase('#tablet');
    await page.locator('#tablet [name=place]').setChecked(true, { force: true });
    await page.click('#tablet [name=import]');
    await shown('#tablet [data-show=queue]', 'kept on this phone');
    const points = async () => Number(await dataOf('#tablet [data-points]', 'points'));
    await expect.poll(points).toBeGreaterThan(5);
    await page.reload();
    await shown('#tablet [data-show=run]', 'Published');
    expect(await points()).toBeGreaterThan(15);
    await page.locator('#phone [name=place]').setChecked(true, { force: true });
    await shown('#phone [data-show=adapter]', 'Adapter 1, trained on a phone');
    const { viewer } = await api.ask(
      '{ viewer { records(source: "mail.private") { edges { node { recordId } } } } }',
    );
    expect(viewer.records.edges).toEqual([]);
  });

  it('is one phone at a time on a small screen, and waits for another tab to close', async () => {
    const second = await openPage();
    await second.setViewportSize({ width: 390, height: 844 });
    await shown('#phone [data-show=trouble]', 'another page has', second);
    await page.close();
    await shown('#phone .state', 'in step', second);
    const width = await second.evaluate('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(390);
    await second.getByRole('button', { name: 'Tablet' }).click();
    const isSeen = () =>
      second.getByRole('button', { name: 'Tablet' }).getAttribute('aria-current');
    await expect.poll(isSeen).toBe('true');
    expect(errors).toEqual([]);
  });
});
