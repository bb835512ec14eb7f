// From a rating to an adapter that knows better, through the public API alone, on the tiny base: real database, queue, trainer,
// engine and files. The user would rather have another word than any that the model writes.

import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AdapterSignal, Phone } from '../../demo/phone.ts';
import { issueToken } from '../../src/auth/tokens.ts';
import { readConfig } from '../../src/config.ts';
import { splitOfInput } from '../../src/dataset/core/split.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { inputKey } from '../../src/modes/prompt.ts';
import { type App, startApp } from '../../src/start/app.ts';
import { copyDatabase } from '../support/servers/databases.ts';

const SOURCES = fileURLToPath(new URL('../../modes/sources', import.meta.url));

const MODE = `key: short
title: Short
description: A word about a text.
sources: [notes]
objective: DPO
input:
  type: object
  properties: { text: { type: string } }
  required: [text]
prompt:
  - { role: user, content: "{{ input.text }}" }
examples: {}
lora: { rank: 8, alpha: 16, targets: all }
training: { learningRate: 0.02, epochs: 3, batchSize: 4, maxTokens: 64 }
trigger: { debounceMs: 3000 }
gate: { marginNats: 0, minHoldout: 4, probeMarginNats: 100 }
decode: { maxTokens: 6, stop: [] }
`;
/** What the user would always rather have. */
const BETTER = 'ok ok';

let folder: string;
let app: App;
let phone: Phone;
let events: AsyncIterator<AdapterSignal>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-ratings-'));
  const modesDir = join(folder, 'modes');
  await cp(SOURCES, join(modesDir, 'sources'), { recursive: true });
  await writeFile(join(modesDir, 'short.yaml'), MODE);
  const folders = { dataDir: join(folder, 'data'), cacheDir: join(folder, 'cache'), modesDir };
  const config = readConfig({ ...folders, model: 'tiny', port: '0' }, {});
  await copyDatabase(config.dataDir);
  app = await startApp(config, {
    ...{ logger: pino({ level: 'silent' }), trains: true },
    signal: new AbortController().signal,
  });
  const token = await issueToken(config.dataDir, 'ann', systemClock);
  phone = new Phone({ url: app.url, token }, 'phone');
  await phone.register('Phone');
  events = phone.adapterEvents(null);
});

afterAll(async () => {
  await phone.close();
  await app.close();
  await rm(folder, { recursive: true });
});

/** The first texts of a part of the dataset: 16 to learn from, and 4 that only measure. */
function textsIn(part: 'train' | 'holdout', count: number, from: string): readonly string[] {
  const all = Array.from({ length: 500 }, (_, i) => `${from} ${i}`);
  return all.filter((text) => splitOfInput(inputKey({ text })) === part).slice(0, count);
}

interface Answer {
  readonly id: string;
  readonly text: string;
}

async function answer(text: string): Promise<Answer> {
  const { complete } = await phone.query<{ complete: Answer }>(
    'mutation ($input: CompleteInput!) { complete(input: $input) { id text } }',
    { input: { mode: 'short', input: { text } } },
  );
  return complete;
}

/** Asks about texts of its own, says the same of every answer, and waits for the adapter that comes of it. */
async function teach(about: string, rating: Readonly<Record<string, string>>) {
  const texts = [...textsIn('train', 16, about), ...textsIn('holdout', 4, about)];
  const answers = await Promise.all(texts.map(answer));
  const rate = ({ id }: Answer) =>
    phone.query(
      'mutation ($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }',
      { input: { completionId: id, ...rating } },
    );
  // all of them before the run that the first one asks for begins
  await Promise.all(answers.map(rate));
  const { value } = await events.next();
  return { answers: answers.map(({ text }) => text), adapter: await adapterOf(value) };
}

/** What the server says of the adapter that an event announces. */
async function adapterOf(event: AdapterSignal) {
  if (event.__typename !== 'AdapterReady') throw new Error(`${event.__typename}, no adapter`);
  const { node } = await phone.query<{ node: unknown }>(
    `query ($id: ID!) { node(id: $id) { ... on Adapter {
       version onPolicyShare evaluation { preferenceAccuracy } } } }`,
    { id: event.adapter.id },
  );
  return node;
}

test('ratings of the base make an adapter that prefers the better answers, and ratings of that one the next', async () => {
  const first = await teach('tea', { better: BETTER });
  expect(first.answers).not.toContain(BETTER);
  // the base was live, and every answer was the base's
  const evaluation = { preferenceAccuracy: 1 };
  expect(first.adapter).toEqual({ version: 1, onPolicyShare: 1, evaluation });
  const second = await teach('rain', { verdict: 'UP' });
  expect(new Set(second.answers)).toEqual(new Set([BETTER]));
  // 16 of the 32 ratings to learn from are of the adapter that was live
  expect(second.adapter).toEqual({ version: 2, onPolicyShare: 0.5, evaluation });
});
