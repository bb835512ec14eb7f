import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse, validate } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapterEvents, call } from '../../docs/clients/phone.ts';
import { buildSchema } from '../../schema/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sha256 } from '../../src/lib/sha256.ts';
import { findDocumentIn, readManifest } from '../../src/transport/trusted-documents.ts';
import { fullStore } from '../adapters/fixture.ts';
import { mail, phone, publish } from '../schema/fixture.ts';
import { type Api, startApi } from '../support/api/api-server.ts';
import { describeWithDatabase } from '../support/servers/databases.ts';

const folder = new URL('../../docs/clients/', import.meta.url);
const text = (name: string) => readFile(new URL(name, folder), 'utf8');
const names = (await readdir(new URL('operations', folder))).sort();
const manifest = await readManifest(
  fileURLToPath(new URL('persisted-query-manifest.json', folder)),
);

describe('the sample operations', () => {
  it.each(names)('in %s fit the schema, and are in the manifest', async (name) => {
    const body = (await text(`operations/${name}`)).trim();
    expect(validate(buildSchema(), parse(body))).toEqual([]);
    expect(manifest.get(sha256(body))).toBe(body);
  });

  it('are all that is in the manifest', () => {
    expect(manifest.size).toBe(names.length);
  });
});

describe.each(['swift', 'kotlin', 'dart'])('the page for %s', (page) => {
  it('shows sample operations word for word, and says what is not compiled', async () => {
    const content = await text(`${page}.md`);
    const shown = [...content.matchAll(/```graphql\n# file: (\S+)\n(.*?)```/gs)];
    expect(shown.length).toBeGreaterThan(0);
    for (const [, file = '', operation] of shown) expect(operation).toBe(await text(file));
    expect(content).toContain('is not compiled');
    const called = [...content.matchAll(/\b(\w+)(?:Mutation|Subscription)\(/g)];
    for (const [, name] of called) expect(names).toContain(`${name}.graphql`);
  });
});

describeWithDatabase('the TypeScript page', (database) => {
  let api: Api;
  beforeAll(async () => {
    const findDocument = findDocumentIn(manifest);
    api = await startApi(database(), systemClock, fullStore, { findDocument, isProduction: true });
  });
  afterAll(() => api.close());

  it('shows the client as it is', async () => {
    expect(await text('typescript.md')).toContain(await text('phone.ts'));
  });

  it('shows a client that works, also where only trusted documents are run', async () => {
    const getToken = () => api.token('anna');
    const ask = (name: string, variables: object) => call(api.url, getToken, name, variables);
    await ask('RegisterDevice', { input: phone });
    const { pushChanges } = await ask('PushChanges', {
      input: { deviceId: phone.deviceId, changes: [mail(1)] },
    });
    expect(pushChanges).toMatchObject({ __typename: 'PushAccepted', lastMutationId: 1 });
    const question = { input: { mode: 'subject', input: { body: 'The plumber comes.' } } };
    const { complete } = await ask('Complete', question);
    const rating = { input: { completionId: complete.id, verdict: 'UP' } };
    expect((await ask('RateCompletion', rating)).rateCompletion.rating.verdict).toBe('UP');
    await expect(
      ask('RateCompletion', { input: { completionId: 'x', verdict: 'UP' } }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('shows how adapters are followed', async () => {
    const open = await startApi(database());
    const { version } = await publish(open, await open.client('bert'), 'of bert');
    await open.close();
    const getToken = () => api.token('bert');
    const events = adapterEvents(api.url, getToken, null);
    const { value } = await events.next();
    expect(value).toMatchObject({ __typename: 'AdapterReady', adapter: { version } });
    await events.return(undefined);
    const { viewer } = await call(api.url, getToken, 'AdapterFeed', { after: value.cursor });
    expect(viewer.adapterFeed).toMatchObject({ __typename: 'AdapterFeedPage', events: [] });
  });
});
