// The whole loop through the public API alone: real database, queue, trainer, engine and files. All of it on the tiny
// base; on the real one, where it is installed, as far as the first adapter.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readMailbox, type SampleMail } from '../../demo/mailbox.ts';
import { type AdapterSignal, type AdapterView, Phone, type RunView } from '../../demo/phone.ts';
import { issueToken } from '../../src/auth/tokens.ts';
import { readConfig } from '../../src/config.ts';
import { splitOf, splitOfInput } from '../../src/dataset/core/split.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { must } from '../../src/lib/errors.ts';
import { inputKey } from '../../src/modes/prompt.ts';
import { type App, startApp } from '../../src/start/app.ts';
import { realBase, realBaseCacheDir } from '../support/model/real-base.ts';
import { copyDatabase } from '../support/servers/databases.ts';

const MODE = 'subject';
const mails = readMailbox();
const isTaught = ({ source, recordId }: SampleMail) => splitOf(source, recordId) === 'train';
/** All that measure, and a quarter of those that teach: enough for what the real base has to show. */
const fewMails = mails.filter((mail, i) => i % 4 === 0 || !isTaught(mail));
const deleted = must(mails.find(isTaught), 'the mailbox has mails to train on');

/** A run on the real base takes about a minute on one free core. */
const REAL_RUN_MS = 600_000;

describe('the loop on the tiny base', () => {
  const loop = useLoop({ model: 'tiny' });

  test('turns pushed mails into an adapter that beats the base, ready on both devices', () =>
    learn(loop(), mails, 0.85));

  test('answers with the adapter that the device holds, the same whole and in chunks', () =>
    compareAnswers(loop()));

  test('forgets a deleted mail at once, and rebuilds without it', async () => {
    const { phone, phoneEvents, tabletEvents, adapter } = loop();
    const { source, recordId, occurredAt, data } = deleted;
    await phone.push([{ source, recordId, kind: 'DELETE', occurredAt }]);
    const ask = { mode: MODE, input: { body: data.body } };
    expect((await phone.complete(ask)).adapter).toBeNull();
    for (const events of [phoneEvents, tabletEvents]) {
      const { value } = await events.next();
      expect(value).toMatchObject({ __typename: 'AdapterRevoked', adapterId: adapter?.id });
    }
    const pinned = { ...ask, adapter: { sha256: adapter?.sha256 } };
    await expect(phone.complete(pinned)).rejects.toThrow(/no adapter/i);
    const second = await ready(phoneEvents);
    expect(second).toMatchObject({ version: 2 });
    expect(second.sha256).not.toBe(adapter?.sha256);
    expect((await phone.complete(ask)).adapter).toEqual({ version: 2 });
  });

  test('does not train again on data that comes back unchanged', async () => {
    const { phone } = loop();
    const ended = endOfRun(phone);
    await phone.push([{ ...must(mails[1], 'a mail'), kind: 'UPSERT' }]);
    expect(await ended).toMatchObject({ status: 'SKIPPED', reason: 'UNCHANGED' });
  });

  test('learns from what the user says of its answers, as the shipped mode does', async () => {
    const { phone, phoneEvents } = loop();
    const ask = ({ data }: SampleMail) =>
      phone.complete({ mode: MODE, input: { body: data.body } });
    const answers = await Promise.all(mails.map(ask));
    expect(answers.map(({ adapter }) => adapter)).toEqual(mails.map(() => ({ version: 2 })));
    const ended = endOfRun(phone);
    // the user puts their own subject line in the place of each
    const better = mails.map(({ data }) => data.subject);
    await Promise.all(answers.map((answer, i) => phone.rate(answer, { better: better[i] ?? '' })));
    expect(await ended).toMatchObject({ status: 'PUBLISHED', reason: null });
    let taught = await ready(phoneEvents);
    // every answer was that of the version before it
    expect(taught).toMatchObject({ version: 3, onPolicyShare: 1 });
    // what is said of a mail's answer is in the part of the mail, and by itself where there is none
    const isLearnt = (mail: SampleMail) =>
      mail === deleted
        ? splitOfInput(inputKey({ body: mail.data.body })) === 'train'
        : isTaught(mail);
    const learnt = mails.filter(isLearnt).length;
    // a run may begin before all is said, and the next one learns the rest
    while ((await preferencesOf(phone, taught)) < learnt) taught = await ready(phoneEvents);
    expect(await preferencesOf(phone, taught)).toBe(learnt);
    const evaluation = must(taught.evaluation, 'a trained adapter was evaluated');
    expect(evaluation.preferenceAccuracy).toBeGreaterThan(0.5);
    expect(must(evaluation.loss, 'a loss')).toBeLessThan(must(evaluation.baseLoss, 'a loss'));
  });
});

describe.skipIf(realBase === null)('the loop on the real base', () => {
  const loop = useLoop({ model: 'default', cacheDir: realBaseCacheDir });

  test(
    'turns pushed mails into an adapter that beats the base by a fifth, ready on both devices',
    () => learn(loop(), fewMails, 0.8),
    REAL_RUN_MS,
  );

  test('answers with the adapter that the device holds, the same whole and in chunks', () =>
    compareAnswers(loop()));
});

interface Loop {
  readonly phone: Phone;
  readonly tablet: Phone;
  readonly phoneEvents: AsyncIterableIterator<AdapterSignal>;
  readonly tabletEvents: AsyncIterableIterator<AdapterSignal>;
  /** The first adapter, once there is one. */
  adapter: AdapterView | null;
}

/** A server with one mode and two phones of one user, shared by the tests of the suite. */
function useLoop(flags: { model: string; cacheDir?: string }): () => Loop {
  let folder: string;
  let app: App;
  let loop: Loop;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-loop-'));
    const folders = { dataDir: join(folder, 'data'), cacheDir: join(folder, 'cache') };
    const config = readConfig({ ...folders, ...flags, modes: MODE, port: '0' }, {});
    const logger = pino({ level: 'silent' });
    await copyDatabase(config.dataDir);
    app = await startApp(config, {
      ...{ logger, trains: true },
      signal: new AbortController().signal,
    });
    const token = await issueToken(config.dataDir, 'ann', systemClock);
    const phone = new Phone({ url: app.url, token }, 'phone');
    const tablet = new Phone({ url: app.url, token }, 'tablet');
    await phone.register('Phone');
    await tablet.register('Tablet');
    const phoneEvents = phone.adapterEvents(null);
    loop = { phone, tablet, phoneEvents, tabletEvents: tablet.adapterEvents(null), adapter: null };
  });
  afterAll(async () => {
    await loop.phone.close();
    await loop.tablet.close();
    await app.close();
    await rm(folder, { recursive: true });
  });
  return () => loop;
}

async function learn(loop: Loop, taught: readonly SampleMail[], atMost: number): Promise<void> {
  const { phone, tablet, phoneEvents, tabletEvents } = loop;
  await phone.push(taught.map((mail) => ({ ...mail, kind: 'UPSERT' })));
  const adapter = await ready(phoneEvents);
  expect((await ready(tabletEvents)).id).toBe(adapter.id);
  const { loss, baseLoss } = must(adapter.evaluation, 'a trained adapter was evaluated');
  expect(must(loss, 'a loss')).toBeLessThan(atMost * must(baseLoss, 'a loss of the base'));
  const sizeBytes = adapter.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  expect(await phone.install(adapter)).toBe(sizeBytes);
  await tablet.install(adapter);
  loop.adapter = adapter;
}

async function compareAnswers({ phone, adapter }: Loop): Promise<void> {
  const ask = { mode: MODE, input: { body: must(mails[0], 'a mail').data.body } };
  const base = await phone.complete({ ...ask, adapter: { base: true } });
  const held = await phone.complete({ ...ask, adapter: { heldByDevice: 'phone' } });
  const pinned = await phone.complete({ ...ask, adapter: { sha256: adapter?.sha256 } });
  expect(base.adapter).toBeNull();
  expect(held.adapter).toEqual({ version: 1 });
  expect(pinned.text).toBe(held.text);
  expect(held.text).not.toBe(base.text);
  expect((await phone.streamCompletion(ask)).text).toBe(held.text);
}

/** The next run that comes to an end; one that gives way to newer data leaves the end to the run that has it. */
async function endOfRun(phone: Phone): Promise<RunView> {
  for await (const run of phone.trainingRuns(MODE)) {
    const goesOn = run.status === 'QUEUED' || run.status === 'RUNNING';
    if (!goesOn && run.reason !== 'NEWER_DATA') return run;
  }
  throw new Error('the server closed the subscription');
}

/** How many preferences the adapter has learnt from. */
async function preferencesOf(phone: Phone, { id }: AdapterView): Promise<number> {
  const { node } = await phone.query<{ node: { lineage: { figures: { preferences: number } } } }>(
    'query ($id: ID!) { node(id: $id) { ... on Adapter { lineage { figures } } } }',
    { id },
  );
  return node.lineage.figures.preferences;
}

async function ready(events: AsyncIterator<AdapterSignal>): Promise<AdapterView> {
  const { value } = await events.next();
  if (value?.__typename !== 'AdapterReady') throw new Error(`got ${value?.__typename}`);
  return value.adapter;
}
