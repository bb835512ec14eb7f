// Marked words through every input, then a look at all that a deployment leaves behind: none of them lies open anywhere.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { issueToken } from '../../src/auth/tokens.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { COMPLETE, PUSH, REGISTER } from '../schema/fixture.ts';
import { ApiClient } from '../support/api/api-client.ts';
import { AttuneProcess } from '../support/servers/attune-process.ts';
import { newPostgresUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { startRedis } from '../support/servers/redis-server.ts';
import { startTraceCollector, type TraceCollector } from '../support/servers/trace-collector.ts';
import { dumpPostgres, dumpRedis, filesBelow } from './dumps.ts';

const MODE = 'subject';
const MAILS = 60;
const ENDED = ['PUBLISHED', 'REJECTED', 'SKIPPED', 'FAILED', 'CANCELLED'];

const hasEnded = ({ status }: Run) => ENDED.includes(status);

/** A word for each input, which nothing else contains. */
class Canaries {
  readonly words = new Map<string, string>();

  /** The word of an input. */
  of(input: string): string {
    const word = this.words.get(input) ?? `canary${randomBytes(9).toString('hex')}`;
    this.words.set(input, word);
    return word;
  }

  /** The inputs whose word is in the bytes, plain or as base64. */
  foundIn(bytes: Buffer): readonly string[] {
    const text = bytes.toString('latin1');
    return [...this.words].flatMap(([input, word]) =>
      formsOf(word).some((form) => text.includes(form)) ? [input] : [],
    );
  }
}

/** base64 has three forms of a word, by where it begins; the ends depend on what is around it. */
function formsOf(word: string): readonly string[] {
  const coded = [0, 1, 2].map((shift) =>
    Buffer.from(' '.repeat(shift) + word)
      .toString('base64')
      .slice(4, -4),
  );
  const utf16 = Buffer.from(word, 'utf16le').toString('latin1');
  return [word, utf16, Buffer.from(word).toString('hex'), ...coded];
}

let folder: string;
let running: AttuneProcess[] = [];
let canaries: Canaries;
let collector: TraceCollector;
beforeEach(async () => {
  collector = await startTraceCollector();
  folder = await mkdtemp(join(tmpdir(), 'attune-canary-'));
  canaries = new Canaries();
});
afterEach(async () => {
  for (const node of running) node.kill('SIGKILL');
  for (const node of running) await node.exit();
  running = [];
  await collector.close();
  await rm(folder, { recursive: true });
});

/** One process's folder for temporary files, among what it leaves. */
const temporary = (role: string) => join(folder, 'left', role, 'tmp');

const settings = () => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  ...{ ATTUNE_MODEL: 'tiny', ATTUNE_MODES: MODE, ATTUNE_THREADS: '1', ATTUNE_LOG_LEVEL: 'trace' },
  ...{ ATTUNE_CACHE: join(folder, 'cache'), ATTUNE_KEYS: join(folder, 'keys') },
});

async function start(role: string, env: Readonly<Record<string, string>>): Promise<AttuneProcess> {
  const data = join(folder, 'left', role);
  const port = role === 'train' ? [] : ['--port', '0'];
  await mkdir(temporary(role), { recursive: true });
  const given = { ...settings(), TMPDIR: temporary(role), ...env };
  const node = new AttuneProcess([role, '--data', data, ...port], given);
  running.push(node);
  return node;
}

const mailOf = (mutationId: number) => ({
  ...{ mutationId, source: 'mail.sent', recordId: `m${mutationId}`, kind: 'UPSERT' },
  occurredAt: '2026-01-02T03:04:05Z',
  data: {
    to: [`${canaries.of('recipient')}@example.org`],
    subject: `${canaries.of('subject')} ${mutationId}`,
    body: `The boat ${canaries.of('body')} is out of the water, number ${mutationId}; bring brushes.`,
  },
});

/** Says a word in every input there is, and trains twice; the second run has begun when this resolves. */
async function talk(url: string): Promise<void> {
  const token = await issueToken(join(folder, 'keys'), 'canary-user', systemClock);
  canaries.words.set('token', token.slice(-40));
  const client = new ApiClient(url, token);
  const device = { deviceId: 'phone', name: canaries.of('device name'), platform: 'test' };
  await client.ask(REGISTER, { input: device });
  const changes = Array.from({ length: MAILS }, (_, i) => mailOf(i + 1));
  await client.ask(PUSH, { input: { deviceId: 'phone', changes } });
  const unfit = { ...mailOf(MAILS + 1), data: { [canaries.of('unknown field')]: 1 } };
  await client.ask(PUSH, { input: { deviceId: 'phone', changes: [unfit] } });
  await answers(client);
  await mistakes(client);
  await untilRuns(client, (runs) => runs.length > 0 && runs.every(hasEnded));
  await client.ask(`mutation { retrain(mode: "${MODE}") { id } }`);
  await untilRuns(client, ([run]) => run !== undefined && (hasEnded(run) || run.step > 0));
}

async function answers(client: ApiClient): Promise<void> {
  const input = { mode: MODE, input: { body: `Hello ${canaries.of('question')}` } };
  const { complete } = await client.ask(COMPLETE, { input });
  const rating = { completionId: complete.id, better: canaries.of('better text') };
  await client.ask(
    'mutation ($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }',
    { input: rating },
  );
  const report = {
    ...{ deviceId: 'phone', clientId: 'c1', mode: MODE, text: canaries.of('reported text') },
    input: { body: canaries.of('reported question') },
  };
  await client.ask(
    'mutation ($input: ReportCompletionInput!) { reportCompletion(input: $input) { id } }',
    { input: report },
  );
  const stop = [canaries.of('stop string')];
  await client.ask(COMPLETE, { input: { ...input, stop, maxTokens: 4 } });
}

/** What goes wrong is told to who asked, and to nobody else. */
async function mistakes(client: ApiClient): Promise<void> {
  await client.send(`{ viewer { ${canaries.of('unknown name')} } }`);
  await client.send('query ($a: Int) { viewer { records(first: $a) { edges { cursor } } } }', {
    a: canaries.of('variable of another type'),
  });
  await client.send('query ($id: ID!) { node(id: $id) { id } }', { id: canaries.of('unknown id') });
  await client.first(`{ ${canaries.of('unknown field over a socket')} }`);
  await client.first(`query ${canaries.of('name of an operation')} { viewer { id } }`);
  const failed = { adapterId: canaries.of('unknown adapter'), detail: canaries.of('what failed') };
  await client.send(
    'mutation ($input: AcknowledgeAdapterInput!) { acknowledgeAdapter(input: $input) { id } }',
    { input: { ...failed, deviceId: 'phone', state: 'FAILED' } },
  );
  await client.send('mutation ($s: String!) { eraseRecords(source: $s) { completedAt } }', {
    s: canaries.of('source to erase'),
  });
  const body = { query: '{ viewer { id } }', extensions: { it: canaries.of('extensions') } };
  await client.post(JSON.stringify(body), {
    'user-agent': canaries.of('user agent'),
    'x-canary': canaries.of('header'),
    cookie: `it=${canaries.of('cookie')}`,
    traceparent: canaries.of('trace'),
    baggage: `it=${canaries.of('baggage')}`,
  });
  await client.post(`{"query": "${canaries.of('broken body')}`);
  const stranger = new ApiClient(client.url, canaries.of('no token'));
  await stranger.send('{ viewer { id } }');
  await fetch(`${client.url}/${canaries.of('path')}?q=${canaries.of('query string')}`);
  const headers = { authorization: `Bearer ${client.token}` };
  await fetch(`${client.url}/adapters/${canaries.of('download')}/x`, { headers });
  await fetch(`${client.url}/adapters/${'0'.repeat(64)}/${canaries.of('file name')}`, { headers });
  await fetch(`${client.url}/uploads/${canaries.of('upload')}`, {
    ...{ method: 'PUT', headers: { ...headers, 'content-range': canaries.of('range') } },
    body: canaries.of('uploaded bytes'),
  });
  await onSockets(client);
}

/** What is said on a socket besides operations. */
async function onSockets(client: ApiClient): Promise<void> {
  const authorization = `Bearer ${client.token}`;
  const socket = client.socket({ authorization, device: canaries.of('connection parameter') });
  const id = await socket.iterate({ query: '{ viewer { id } }' }).next();
  expect(id.value?.data).toMatchObject({ viewer: {} });
  await socket.dispose();
  const stranger = client.socket({
    authorization: `Bearer ${canaries.of('no token of a socket')}`,
  });
  const closed = await stranger
    .iterate({ query: '{ viewer { id } }' })
    .next()
    .catch((event) => event);
  expect(closed).toMatchObject({ code: 4401 });
  for (const text of [canaries.of('no message'), `{"type":"${canaries.of('no type')}"}`]) {
    const bare = new WebSocket(`${client.url.replace('http', 'ws')}/graphql`, [
      'graphql-transport-ws',
    ]);
    await once(bare, 'open');
    bare.send(text);
    await once(bare, 'close');
  }
}

interface Run {
  readonly status: string;
  readonly step: number;
}

const RUNS = `{ viewer { mode(key: "${MODE}") { runs { edges { node { status step } } } } } }`;

/** Waits until it holds of the runs, the newest first. */
async function untilRuns(
  client: ApiClient,
  holds: (runs: readonly Run[]) => boolean,
): Promise<void> {
  const look = async () => {
    const { viewer } = await client.ask(RUNS);
    return holds(viewer.mode.runs.edges.map(({ node }: { node: Run }) => node));
  };
  await expect.poll(look, { interval: 50 }).toBe(true);
}

/** No word lies open in what was left behind, which is more than nothing. */
async function expectSilence(places: Readonly<Record<string, Buffer | string>>): Promise<void> {
  const files = await filesBelow(join(folder, 'left'));
  const names = files.map((path) => path.slice(folder.length));
  expect(names.some((name) => name.includes('adapter_model.safetensors'))).toBe(true);
  const found: string[] = [];
  for (const path of files)
    for (const input of canaries.foundIn(await readFile(path))) found.push(`${input}: ${path}`);
  for (const [place, content] of Object.entries(places)) {
    expect(content.length, place).toBeGreaterThan(0);
    for (const input of canaries.foundIn(Buffer.from(content))) found.push(`${input}: ${place}`);
  }
  expect(found).toEqual([]);
}

const metricsOf = async (url: string) => (await fetch(`${url}/metrics`)).text();
const urlOf = (server: AttuneProcess) => server.printed(/running at (\S+?)[\s.]*on/);

describe('what users write', () => {
  it('is found where it lies open: the search itself works', () => {
    const word = canaries.of('a word');
    for (const text of [word, Buffer.from(`{"a":"${word}"}`).toString('base64')])
      expect(canaries.foundIn(Buffer.from(`before ${text} after`))).toEqual(['a word']);
    expect(canaries.foundIn(Buffer.from(word, 'utf16le'))).toEqual(['a word']);
    expect(canaries.foundIn(Buffer.from('nothing'))).toEqual([]);
  });

  it('lies open nowhere in one process, killed while it trains', async () => {
    const server = await start('all', {});
    const url = await urlOf(server);
    await talk(url);
    const metrics = await metricsOf(url);
    server.kill('SIGKILL');
    await server.exit();
    await expectSilence({ metrics, log: server.stderr, traces: collector.bodies.join('\n') });
  }, 300_000);

  it.skipIf(!shouldRunWith('postgres') || !shouldRunWith('redis-server'))(
    'lies open nowhere in several processes with PostgreSQL and Redis',
    async () => {
      const kept = join(folder, 'left', 'redis');
      await mkdir(kept, { recursive: true });
      const redis = await startRedis({ isDurable: true, keptIn: kept });
      try {
        const databaseUrl = await newPostgresUrl();
        const blobs = pathToFileURL(join(folder, 'left', 'blobs')).href;
        const env = { DATABASE_URL: databaseUrl, REDIS_URL: redis.url, BLOB_URL: blobs };
        const [server, trainer] = [await start('serve', env), await start('train', env)];
        const url = await urlOf(server);
        await talk(url);
        const places = {
          metrics: await metricsOf(url),
          'Redis keys': await dumpRedis(redis.url),
          database: await dumpPostgres(databaseUrl),
        };
        for (const node of [server, trainer]) node.kill('SIGKILL');
        for (const node of [server, trainer]) await node.exit();
        const traces = collector.bodies.join('\n');
        await expectSilence({ ...places, traces, 'log of the server': server.stderr });
        expect(canaries.foundIn(Buffer.from(trainer.stderr))).toEqual([]);
      } finally {
        await redis.stop();
      }
    },
    300_000,
  );
});
