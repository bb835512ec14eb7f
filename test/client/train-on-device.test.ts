// Training on a device, in Node, against the real server on the tiny base: records that never leave, adapters that do.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { openLocalEngine } from '../../src/client/answers/local-engine.ts';
import { type AttuneClient, openClient } from '../../src/client/client.ts';
import { openNodeStorage } from '../../src/client/storage/node-storage.ts';
import { openLocalTrainer } from '../../src/client/training/local-trainer.ts';
import { must } from '../../src/lib/errors.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { START_MS, startTinyApp, type TinyApp } from '../support/api/tiny-app.ts';

const mails = readMailbox().map((mail) => ({ ...mail, kind: 'UPSERT' as const }));

let server: TinyApp;
const open: AttuneClient[] = [];
beforeAll(async () => {
  server = await startTinyApp([], 'device');
}, START_MS);
afterEach(async () => {
  for (const client of open.splice(0)) await client.close();
});
afterAll(() => server?.close());

/** What went over the wire to the server. */
const sent: string[] = [];

async function device(user: string, home: string = randomUUID()): Promise<AttuneClient> {
  const token = await server.token(user);
  const client = await openClient({
    ...{ url: server.app.url, token: () => Promise.resolve(token), webSocket: null },
    ...{ name: 'Phone', platform: 'node' },
    storage: await openNodeStorage(join(server.folder, home)),
    engine: openLocalEngine(ort, { threads: 1 }),
    trainer: openLocalTrainer(ort, { threads: 1 }),
    fetch: (input, init) => {
      if (typeof init?.body === 'string') sent.push(init.body);
      return fetch(input, init);
    },
  });
  open.push(client);
  return client;
}

async function withBase(client: AttuneClient): Promise<AttuneClient> {
  await client.installBase();
  await expect.poll(async () => (await client.base())?.isInstalled).toBe(true);
  return client;
}

const statusOf = async (client: AttuneClient) => (await client.training('subject'))?.status;
const versionOf = async (client: AttuneClient) => (await client.adapter('subject'))?.version;
const ask = { mode: 'subject', input: { body: mails[0]?.data.body ?? '' } };

it('learns from records that it never sends, and the user’s other device and the cloud answer with it (DEV-16)', async () => {
  const client = await device('ann');
  // before the device knows the modes, and after
  await client.push(mails.slice(0, 30));
  await withBase(client);
  await client.push(mails.slice(30));
  expect(await client.pendingCount()).toBe(0);
  const losses: number[] = [];
  const outcome = await client.train('subject', { onStep: ({ loss }) => losses.push(loss) });
  expect(outcome).toMatchObject({ kind: 'trained', trained: { status: 'TRAINED' } });
  expect(losses.length).toBeGreaterThan(20);
  await expect.poll(() => statusOf(client)).toBe('PUBLISHED');
  await expect.poll(() => versionOf(client)).toBe(1);

  const texts = mails.map(({ data }) => JSON.stringify(data.body).slice(1, 40));
  expect(sent.filter((body) => texts.some((text) => body.includes(text)))).toEqual([]);
  const api = new ApiClient(server.app.url, await server.token('ann'));
  const { viewer } = await api.ask(
    '{ viewer { records(first: 5) { edges { node { recordId } } } mode(key: "subject") { adapter { version origin sha256 dataset { id } lineage { figures } evaluation { passed probeLoss baseProbeLoss loss baseLoss } } } } }',
  );
  expect(viewer.records.edges).toEqual([]);
  const { adapter } = viewer.mode;
  expect(adapter).toMatchObject({ version: 1, origin: 'DEVICE', dataset: null });
  expect(adapter.evaluation.loss).toBeLessThan(adapter.evaluation.baseLoss);
  expect(adapter.evaluation.probeLoss).toBeGreaterThan(0);

  const other = await withBase(await device('ann'));
  await expect.poll(() => versionOf(other)).toBe(1);
  const here = await other.complete(ask);
  const there = await other.complete({ ...ask, where: 'cloud' });
  expect(here).toMatchObject({ origin: 'DEVICE', adapter: { sha256: adapter.sha256 } });
  expect(there).toMatchObject({ origin: 'CLOUD', adapter: { sha256: adapter.sha256 } });
  expect(here.text).toBe(there.text);
  expect(await client.train('subject')).toEqual({ kind: 'skipped', reason: 'UNCHANGED' });
});

it('goes on where it was stopped, to the same bytes (DEV-20)', async () => {
  const trained = async (user: string, stops: readonly number[]) => {
    const home = randomUUID();
    let client = await withBase(await device(user, home));
    await client.push(mails);
    let steps = 0;
    for (const stop of stops) {
      const stopped = new AbortController();
      const training = client.train('subject', {
        onStep: () => {
          steps += 1;
          if (steps === stop) stopped.abort(new Error('the tab is closed'));
        },
        signal: stopped.signal,
      });
      await expect(training).rejects.toThrow('the tab is closed');
      await client.close();
      open.splice(open.indexOf(client), 1);
      client = await device(user, home);
    }
    await client.train('subject', {
      onStep: () => {
        steps += 1;
      },
    });
    return { steps, result: (await client.training('subject'))?.result };
  };
  const whole = await trained('bea', []);
  const pieces = await trained('cem', [7, 19]);
  expect(pieces.result?.sha256).toBe(whole.result?.sha256);
  expect(pieces.result?.losses).toEqual(whole.result?.losses);
  // at most five steps are lost by each stop
  expect(pieces.steps - whole.steps).toBeLessThanOrEqual(8);
});

it('is told when another device was faster, learns beside its adapter, and publishes the next version', async () => {
  const first = await withBase(await device('dan'));
  const second = await withBase(await device('dan'));
  await first.push(mails);
  await second.push(mails.slice(0, 50));
  second.pause();
  await second.train('subject');
  await first.train('subject');
  await expect.poll(() => versionOf(first)).toBe(1);
  await second.resume();
  await expect.poll(() => statusOf(second)).toBe('CONFLICT');
  await expect.poll(() => versionOf(second)).toBe(1);
  const { trained } = (await second.train('subject')) as { trained: { status: string } };
  const verdicts = { TRAINED: 2, REJECTED: 1 } as const;
  await expect
    .poll(() => versionOf(second))
    .toBe(verdicts[trained.status as keyof typeof verdicts]);
});

it('goes on with what is new, and forgets a deleted record everywhere, to the bytes of who never had it (DEV-25, DEV-26)', async () => {
  const client = await withBase(await device('fay'));
  const train = async (on: AttuneClient) => {
    const outcome = await on.train('subject');
    if (outcome.kind === 'skipped') throw new Error(outcome.reason);
    const { startedFromId, result, status } = outcome.trained;
    if (status === 'TRAINED') await expect.poll(() => statusOf(on)).toBe('PUBLISHED');
    return { startedFromId, steps: result?.losses.length ?? 0, sha256: result?.sha256 };
  };
  await client.push(mails.slice(0, 55));
  const first = await train(client);
  expect(first.startedFromId).toBeNull();
  await expect.poll(() => versionOf(client)).toBe(1);
  const made = await client.adapter('subject');
  await client.push(mails.slice(55));
  const second = await train(client);
  expect(second.startedFromId).toBe(made?.id);
  expect(second.steps).toBeLessThan(first.steps / 2);
  await expect.poll(() => versionOf(client)).toBe(2);
  const other = await device('fay');
  await expect.poll(() => versionOf(other)).toBe(2);

  const { source, recordId, occurredAt } = must(mails[3], 'a mail');
  await client.push([{ source, recordId, kind: 'DELETE', occurredAt }]);
  expect(await client.adapter('subject')).toBeNull();
  expect(await client.training('subject')).toBeNull();
  await expect.poll(() => other.resume().then(() => versionOf(other))).toBeUndefined();
  const api = new ApiClient(server.app.url, await server.token('fay'));
  const { viewer } = await api.ask(
    '{ viewer { mode(key: "subject") { adapter { id } adapters(first: 5) { edges { node { status } } } } } }',
  );
  expect(viewer.mode.adapter).toBeNull();
  const revoked = { node: { status: 'REVOKED' } };
  expect(viewer.mode.adapters.edges).toEqual([revoked, revoked]);
  const third = await train(client);
  expect(third.startedFromId).toBeNull();
  const stranger = await withBase(await device('gus'));
  await stranger.push(mails.filter((_, n) => n !== 3));
  expect((await train(stranger)).sha256).toBe(third.sha256);
}, 240_000);

it('does not train on too little, nor without a base', async () => {
  const client = await device('eva');
  await client.push(mails.slice(0, 5));
  await expect.poll(async () => client.state).toBe('live');
  await expect(client.train('subject')).rejects.toThrow('base');
  await withBase(client);
  expect(await client.train('subject')).toEqual({ kind: 'skipped', reason: 'TOO_LITTLE_DATA' });
});
