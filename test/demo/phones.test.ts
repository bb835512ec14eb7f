// The page of `npm run demo:phones` in Chromium, on the whole server with the tiny base.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeviceSite } from '../../demo/phones/site.ts';
import { startPhonesSite } from '../../demo/phones/site-files.ts';
import { launchChromium } from '../support/chromium.ts';
import { shouldRunWith } from '../support/programs.ts';
import { startTinyApp, type TinyApp } from '../support/tiny-app.ts';

const WAIT = { timeout: 60_000 };

describe.skipIf(!shouldRunWith('chromium'))('the page with two phones', () => {
  let server: TinyApp;
  let site: DeviceSite;
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];
  beforeAll(async () => {
    server = await startTinyApp(['demo']);
    site = await startPhonesSite({ url: server.app.url, token: await server.token('demo') });
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 900, height: 1200 } });
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(`${site.url}/phone`);
    await page.waitForSelector('body[data-ready]');
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await server?.close();
  });

  const text = (selector: string) => page.locator(selector).textContent();
  const held = (phone: string) => page.locator(phone).getAttribute('data-version');

  it('takes mails, keeps them in flight mode, and answers on the phone as in the cloud', async () => {
    await expect.poll(() => held('#phone'), WAIT).toBe('1');
    await expect.poll(() => held('#tablet'), WAIT).toBe('1');
    await page.check('#phone [name=flight]');
    await page.fill('#phone [name=body]', 'The boat is out of the water.');
    await page.click('#phone [name=save]');
    await expect.poll(() => text('#phone [data-show=queue]'), WAIT).toContain('1 changes wait');
    await page.uncheck('#phone [name=flight]');
    await expect.poll(() => text('#phone [data-show=queue]'), WAIT).toBe('Everything is sent.');

    await page.click('#phone [name=base]');
    const isThere = () => page.locator('#phone').getAttribute('data-base');
    await expect.poll(isThere, WAIT).toBe('true');
    await page.click('#phone [name=ask]');
    const answers = page.locator('#phone .answer[data-origin]');
    await expect.poll(() => answers.count(), WAIT).toBe(2);
    expect(await answers.nth(0).getAttribute('data-origin')).toBe('DEVICE');
    expect(await answers.nth(1).getAttribute('data-origin')).toBe('CLOUD');
    expect(await answers.nth(0).locator('strong').textContent()).toBe(
      await answers.nth(1).locator('strong').textContent(),
    );
    const good = answers.nth(1).getByRole('button', { name: 'Good answer' });
    await good.click();
    await expect.poll(() => good.getAttribute('aria-pressed'), WAIT).toBe('true');

    // in flight mode the phone still answers, and the cloud does not
    await page.check('#phone [name=flight]');
    await page.click('#phone [name=ask]');
    await expect.poll(() => text('#phone [data-show=answers]'), WAIT).toContain('No answer');
    expect(await answers.count()).toBe(1);
    expect(await answers.nth(0).getAttribute('data-origin')).toBe('DEVICE');
    expect(errors).toEqual([]);
  });
});
