import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';
import { requireProgram, shouldRunWith } from '../support/servers/programs.ts';

describe.skipIf(!shouldRunWith('chromium'))('in Chromium', () => {
  describeWithDatabase('GraphiQL', (database) => {
    let api: Api;
    let browser: Browser;
    beforeAll(async () => {
      api = await startApi(database());
      browser = await chromium.launch({
        executablePath: requireProgram('chromium'),
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
        ],
      });
    });
    afterAll(async () => {
      await browser?.close();
      await api.close();
    });

    /** Opens the page and keeps a list of all that goes wrong and of all that goes elsewhere. */
    const open = async (path: string) => {
      const page = await browser.newPage();
      const troubles: string[] = [];
      page.on('console', (line) => line.type() === 'error' && troubles.push(line.text()));
      page.on('pageerror', (error) => troubles.push(error.message));
      page.on('requestfailed', (request) => troubles.push(`failed: ${request.url()}`));
      page.on('request', (request) => {
        if (/^(https?|wss?):/.test(request.url()) && !request.url().startsWith(api.url)) {
          troubles.push(`elsewhere: ${request.url()}`);
        }
      });
      await page.goto(`${api.url}${path}`);
      await page.getByRole('button', { name: /execute query/i }).waitFor();
      return { page, troubles };
    };

    const run = (page: Page) => page.getByRole('button', { name: /execute query/i }).click();
    /** The editor shows spaces as no-break spaces. */
    const answer = async (page: Page) =>
      ((await page.locator('.graphiql-response').textContent()) ?? '').replaceAll('\u00a0', ' ');

    it('runs queries as the user of the token in its address, and hides the token', async () => {
      const { page, troubles } = await open(`/graphql#token=${await api.token('anna')}`);
      expect(page.url()).not.toContain('token');
      await run(page);
      await expect.poll(() => answer(page)).toContain('"Subject line"');
      expect(troubles).toEqual([]);
      await page.close();
    });

    it('runs subscriptions over a socket', async () => {
      const query = encodeURIComponent(
        'subscription { completionTokens(input: {mode: "subject", input: {body: "Hello"}}) { ... on CompletionDone { completion { text } } } }',
      );
      const { page, troubles } = await open(
        `/graphql?query=${query}#token=${await api.token('anna')}`,
      );
      const socket = page.waitForEvent('websocket');
      await run(page);
      expect((await socket).url()).toBe(`${api.url.replace('http', 'ws')}/graphql`);
      await expect.poll(() => answer(page)).toContain('"text": "The plumber comes on Friday"');
      expect(troubles).toEqual([]);
      await page.close();
    });

    it('shows what the server says to strangers', async () => {
      const { page } = await open('/graphql');
      await run(page);
      await expect.poll(() => answer(page)).toContain('UNAUTHENTICATED');
      await page.close();
    });
  });
});

describeWithDatabase("GraphiQL's address", (database) => {
  it('gives programs no page', async () => {
    const api = await startApi(database());
    const response = await fetch(`${api.url}/graphql`, { headers: { accept: '*/*' } });
    expect(response.status).toBe(401);
    expect(response.headers.get('content-type')).toContain('json');
    await api.close();
  });
});
