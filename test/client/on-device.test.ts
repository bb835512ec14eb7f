// Answers on the device, in Node, against the real server and its real engine on the tiny base.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import type { DeviceLimits } from '../../src/client/answers/local-answers.ts';
import { openLocalEngine } from '../../src/client/answers/local-engine.ts';
import { type AttuneClient, openClient } from '../../src/client/client.ts';
import { openNodeStorage } from '../../src/client/storage/node-storage.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { START_MS, startTinyApp, type TinyApp } from '../support/api/tiny-app.ts';

const USER = 'ann';
const bodies = readMailbox().map(({ data }) => data.body);

let server: TinyApp;
const open: AttuneClient[] = [];
beforeAll(async () => {
  server = await startTinyApp([USER]);
}, START_MS);
afterEach(async () => {
  for (const client of open.splice(0)) await client.close();
});
afterAll(() => server?.close());

interface DeviceOptions {
  readonly home?: string;
  readonly limits?: DeviceLimits;
  readonly clock?: Clock;
  readonly ort?: Parameters<typeof openLocalEngine>[0];
}

async function device({
  home = randomUUID(),
  limits = {},
  clock,
  ort: given = ort,
}: DeviceOptions = {}) {
  const token = await server.token(USER);
  const client = await openClient({
    ...{ url: server.app.url, token: () => Promise.resolve(token), limits },
    ...{ name: 'Phone', platform: 'node', webSocket: null },
    storage: await openNodeStorage(join(server.folder, home)),
    engine: openLocalEngine(given, { threads: 1 }),
    ...(clock && { clock }),
  });
  open.push(client);
  return client;
}

/** A device with the base and the user's adapter. */
async function readyDevice(options: DeviceOptions = {}) {
  const client = await device(options);
  await client.installBase();
  await expect.poll(async () => (await client.base())?.isInstalled).toBe(true);
  await expect.poll(async () => (await client.adapter('subject'))?.version).toBe(1);
  return client;
}

const ask = (body = bodies[0] ?? '') => ({ mode: 'subject', input: { body } });

it('answers as the cloud does, token for token, with the adapter that it holds', async () => {
  const client = await readyDevice();
  const held = await client.adapter('subject');
  for (const body of bodies.slice(0, 6)) {
    const here = await client.complete(ask(body));
    const there = await client.complete({ ...ask(body), where: 'cloud' });
    expect(here).toMatchObject({ origin: 'DEVICE', whyCloud: null, adapter: { id: held?.id } });
    expect(there).toMatchObject({ origin: 'CLOUD', whyCloud: 'ASKED', adapter: { id: held?.id } });
    expect([here.text, here.finishReason]).toEqual([there.text, there.finishReason]);
  }
});

it('tells how likely its tokens were, as the cloud does', async () => {
  const client = await readyDevice();
  const request = { ...ask(bodies[1]), topLogprobs: 3 };
  const here = must((await client.complete(request)).logprobs, 'what was asked for');
  const there = must(
    (await client.complete({ ...request, where: 'cloud' })).logprobs,
    'what was asked for',
  );
  expect(here.length).toBeGreaterThan(1);
  const tokens = (all: typeof here) => all.map(({ token }) => token);
  expect(tokens(here)).toEqual(tokens(there));
  for (const [i, { logprob, topLogprobs }] of here.entries()) {
    expect(logprob).toBeCloseTo(there[i]?.logprob ?? Number.NaN, 3);
    expect(topLogprobs).toHaveLength(3);
  }
  expect((await client.complete(ask(bodies[1]))).logprobs).toBeNull();
});

it('hands out the text as it comes, and obeys stop strings, limits and signals', async () => {
  const client = await readyDevice();
  const pieces: string[] = [];
  const whole = await client.complete(ask(), { onText: (text) => pieces.push(text) });
  expect(pieces.length).toBeGreaterThan(1);
  expect(pieces.join('')).toBe(whole.text);
  const stop = whole.text.slice(3, 5);
  const cut = await client.complete({ ...ask(), stop: [stop] });
  expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
  expect((await client.complete({ ...ask(), maxTokens: 1 })).finishReason).toBe('LENGTH');
  const given = { ...ask(), temperature: 1, seed: 7 };
  expect((await client.complete(given)).text).toBe((await client.complete(given)).text);

  const stopped = new AbortController();
  const aborted = client.complete(ask(), {
    onText: () => stopped.abort(new Error('enough')),
    signal: stopped.signal,
  });
  await expect(aborted).rejects.toThrow('enough');
  const long = 'word '.repeat(3000);
  await expect(client.complete(ask(long))).rejects.toMatchObject({ code: 'BAD_INPUT' });
});

it('answers without a network, and reports it when there is one again (DEV-11)', async () => {
  const client = await readyDevice();
  client.pause();
  const answer = await client.complete(ask('Nobody hears this.'));
  expect(answer.origin).toBe('DEVICE');
  await expect(client.complete({ ...ask(), where: 'cloud' })).rejects.toThrow('paused');
  await client.resume();
  const api = new ApiClient(server.app.url, await server.token(USER));
  const query =
    '{ viewer { completions(first: 100) { edges { node { text input adapter { version } } } } } }';
  const reported = async () => {
    const { viewer } = await api.ask(query);
    const nodes = viewer.completions.edges.map(({ node }: { node: unknown }) => node);
    return nodes.find(
      (node: { input: { body: string } }) => node.input.body === 'Nobody hears this.',
    );
  };
  await expect.poll(reported).toMatchObject({ text: answer.text, adapter: { version: 1 } });
});

it('finds base and modes again after a restart without a network', async () => {
  const home = randomUUID();
  const first = await readyDevice({ home });
  const { text } = await first.complete(ask());
  await first.close();
  open.splice(open.indexOf(first), 1);
  const again = await device({ home });
  again.pause();
  expect(await again.complete(ask())).toMatchObject({ origin: 'DEVICE', text });
});

it('asks the cloud where it cannot answer itself, with the adapter that it holds, and says why', async () => {
  const bare = await device();
  await expect.poll(async () => (await bare.adapter('subject'))?.version).toBe(1);
  expect(await bare.complete(ask())).toMatchObject({
    ...{ origin: 'CLOUD', whyCloud: 'NO_BASE', adapter: { version: 1 } },
  });
  await expect(bare.complete({ ...ask(), where: 'device' })).rejects.toThrow('NO_BASE');

  const small = await readyDevice({ limits: { memoryBytes: 1000 } });
  expect((await small.complete(ask())).whyCloud).toBe('MEMORY');

  const input = { from: 'bo@example.org', subject: 'Boat', body: 'When do we paint?' };
  const withContacts = await (await readyDevice()).complete({ mode: 'reply', input });
  expect(withContacts).toMatchObject({ origin: 'CLOUD', whyCloud: 'NEEDS_RECORDS' });
});

it('asks the cloud when it was too slow, and is slow rather than silent without a network', async () => {
  let now = 0;
  const clock: Clock = {
    ...systemClock,
    now: () => {
      now += 60_000;
      return Date.now() + now;
    },
  };
  const client = await readyDevice({ clock });
  expect((await client.complete(ask())).origin).toBe('DEVICE');
  expect(await client.complete(ask())).toMatchObject({ origin: 'CLOUD', whyCloud: 'SLOW' });
  expect((await client.complete({ ...ask(), where: 'device' })).origin).toBe('DEVICE');
});

it('asks the cloud after its engine failed, until the app says to try again', async () => {
  let failures = 1;
  const create = (...args: Parameters<typeof ort.InferenceSession.create>) => {
    failures -= 1;
    if (failures >= 0) return Promise.reject(new Error('bad_alloc'));
    return ort.InferenceSession.create(...args);
  };
  const broken = {
    Tensor: ort.Tensor,
    InferenceSession: { create } as typeof ort.InferenceSession,
  };
  const client = await readyDevice({ ort: broken });
  expect(await client.complete(ask())).toMatchObject({ origin: 'CLOUD', whyCloud: 'FAILED' });
  expect((await client.complete(ask())).whyCloud).toBe('FAILED');
  await client.resume();
  expect((await client.complete(ask())).origin).toBe('DEVICE');
});
