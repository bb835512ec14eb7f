// A deployment of several processes on one PostgreSQL, one Redis and one folder or bucket of adapters: two that answer, two
// that train. Devices of one user talk to different ones.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMailbox } from '../../demo/mailbox.ts';
import { Phone } from '../../demo/phone.ts';
import { must } from '../../src/lib/errors.ts';
import { AttuneProcess } from '../support/servers/attune-process.ts';
import { newPostgresUrl, redisUrl } from '../support/servers/databases.ts';
import { shouldRunWith } from '../support/servers/programs.ts';
import { S3_ACCESS, type S3Server, startS3Server } from '../support/servers/s3-server.ts';
import { freePort } from '../support/servers/server-process.ts';
import {
  type CollectedSpan,
  startTraceCollector,
  type TraceCollector,
} from '../support/servers/trace-collector.ts';

const MODE = 'subject';

let folder: string;
let bucket: S3Server;
let collector: TraceCollector;
let running: AttuneProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-roles-'));
  bucket = await startS3Server();
  collector = await startTraceCollector();
});
afterEach(async () => {
  for (const node of running) node.kill('SIGKILL');
  for (const node of running) await node.exit();
  running = [];
  await bucket.close();
  await collector.close();
  await rm(folder, { recursive: true });
});

describe.skipIf(!shouldRunWith('postgres') || !shouldRunWith('redis-server'))('roles', () => {
  it.each([
    ['with Redis and a shared folder', true, false],
    ['without Redis, over a bucket', false, true],
  ])('work together %s', async (_, withRedis, withBucket) => {
    const start = startOn({
      DATABASE_URL: await newPostgresUrl(),
      ...(withRedis && { REDIS_URL: await redisUrl() }),
      BLOB_URL: withBucket ? bucket.url : pathToFileURL(join(folder, 'blobs')).href,
      ...(withBucket && S3_ACCESS),
    });
    const servers = [
      start('serve', 'first', '--port', '0'),
      start('serve', 'second', '--port', '0'),
    ];
    const ports = [await freePort(), await freePort()];
    const trainers = ports.map((port, i) =>
      start('train', `trainer-${i}`, '--health-port', String(port)),
    );
    const urls = await Promise.all(servers.map((server) => server.printed(/running at (\S+)/)));
    await Promise.all(trainers.map((trainer) => trainer.printed(/is training/)));
    for (const port of ports) await expectHealthy(`http://127.0.0.1:${port}`);
    const token = await servers[0]?.printed(/Token of the user demo:\n(\S+)/);
    const [phone, tablet] = urls.map(
      (url, i) => new Phone({ url, token: token ?? '' }, `device-${i}`),
    );
    if (phone === undefined || tablet === undefined) throw new Error('two servers, two devices');
    await phone.register('Phone');
    await tablet.register('Tablet');
    const events = tablet.adapterEvents(null);
    await phone.push(readMailbox().map((mail) => ({ ...mail, kind: 'UPSERT' })));
    const { value: signal } = await events.next();
    if (signal?.__typename !== 'AdapterReady') throw new Error(`got ${signal?.__typename}`);
    await tablet.install(signal.adapter);
    const input = { body: 'The plumber comes on Friday at nine.' };
    const held = { mode: MODE, input, adapter: { heldByDevice: 'device-1' } };
    const answers = await Promise.all([phone.complete(held), tablet.complete(held)]);
    expect(answers[0]).toMatchObject({ adapter: { version: 1 }, text: answers[1]?.text });
    // sealed, below the user's folder
    const end = `/${signal.adapter.sha256}/adapter_model.safetensors`;
    const keys = [...bucket.objects.keys()];
    expect(keys.some((key) => key.endsWith(end))).toBe(withBucket);
    await phone.close();
    await tablet.close();
    for (const node of running) node.kill('SIGTERM');
    expect(await Promise.all(running.map((node) => node.exit()))).toEqual([0, 0, 0, 0]);
    expectOneTrace(collector);
    const live = trainers.flatMap(({ stderr }) => linesAbout(stderr, 'an adapter is live'));
    const { traceId } = only(collector.spans, 'publish');
    expect(live).toMatchObject([{ traceId, runId: expect.any(String), mode: MODE }]);
  });
});

async function expectHealthy(url: string): Promise<void> {
  const answers = await Promise.all(
    ['healthz', 'readyz', 'metrics'].map((path) => fetch(`${url}/${path}`)),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  const [, ready, metrics] = await Promise.all(answers.map((answer) => answer.text()));
  expect(JSON.parse(ready ?? '').checks).toMatchObject({
    database: { ok: true },
    queue: { ok: true },
  });
  expect(metrics).toContain('attune_queue_depth');
}

/** From the push at one server over a trainer to the event that another server hands out; ids only. */
function expectOneTrace({ spans, bodies }: TraceCollector): void {
  const chain = [only(spans, 'deliver')];
  for (let span = chain[0]; span?.parentSpanId; span = chain.at(-1)) {
    const parent = spans.find(({ spanId }) => spanId === span?.parentSpanId);
    if (parent === undefined) throw new Error(`${span.name} has a parent that was not reported`);
    chain.push(parent);
  }
  expect(chain.map(({ name }) => name)).toEqual([
    ...['deliver', 'publish', 'run', 'push changes', 'http'],
  ]);
  const [delivered, published, , pushed] = chain.map(({ process }) => process);
  expect(delivered).toMatch(/^serve-/);
  expect(published).toMatch(/^train-/);
  expect(pushed).toMatch(/^serve-/);
  expect(delivered).not.toBe(pushed);
  const { traceId } = only(spans, 'publish');
  const inTrace = spans.filter((span) => span.traceId === traceId).map(({ name }) => name);
  expect(inTrace).toEqual(expect.arrayContaining(['enqueue', 'fold', 'train']));
  expect(bodies.join()).not.toContain(readMailbox()[0]?.data.subject);
}

function only(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.filter((span) => span.name === name);
  expect(found).toHaveLength(1);
  return must(found[0], 'a span');
}

/** The lines of a log that have this message. */
function linesAbout(log: string, message: string): unknown[] {
  const lines = log.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === message);
}

/** Starts processes that share servers, adapters and the token's key, each with a data folder of its own. */
function startOn(servers: Readonly<Record<string, string>>) {
  const env = {
    ...servers,
    ...{ ATTUNE_MODEL: 'tiny', ATTUNE_MODES: MODE, ATTUNE_THREADS: '1' },
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...{ ATTUNE_CACHE: join(folder, 'cache'), ATTUNE_KEYS: join(folder, 'keys') },
  };
  return (role: string, name: string, ...args: string[]) => {
    const node = new AttuneProcess([role, '--data', join(folder, name), ...args], env);
    running.push(node);
    return node;
  };
}
