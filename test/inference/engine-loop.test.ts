import { copyFile, cp, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AdapterFolder, EngineRequest } from '../../src/inference/engine-protocol.ts';
import {
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
} from '../support/inference/engine-fixture.ts';
import {
  driveLoop,
  type LoopDriver,
  type LoopOptions,
  type Outcome,
} from '../support/inference/loop-driver.ts';

let fixture: EngineFixture;
const drivers: LoopDriver[] = [];

beforeAll(async () => {
  fixture = await engineFixture();
});
afterEach(async () => {
  for (const driver of drivers.splice(0)) await driver.close();
});
afterAll(() => fixture.remove());

async function open(options?: LoopOptions): Promise<LoopDriver> {
  const driver = await driveLoop(fixture, options);
  drivers.push(driver);
  return driver;
}

function adapter(index: number): AdapterFolder {
  return fixture.adapters[index] as AdapterFolder;
}

/** Requests of several users, adapters and lengths; every fourth without an adapter. */
function mixed(count: number): EngineRequest[] {
  return Array.from({ length: count }, (_, i) =>
    engineRequest({
      promptIds: promptOf(1 + ((i * 53) % 190), i),
      adapter: i % 4 === 3 ? null : adapter(i % 5),
      maxTokens: 3 + (i % 9),
      userId: `user ${i % 4}`,
      ...(i % 3 === 0 && { temperature: 0.8, topP: 0.9, seed: i }),
    }),
  );
}

test('answers are the same together as one by one', async () => {
  const driver = await open();
  const requests = mixed(14);
  const alone: Outcome[] = [];
  for (const request of requests) alone.push(await driver.ask(request));
  const together = await Promise.all(requests.map((request) => driver.ask(request)));
  expect(together).toEqual(alone);
  expect(new Set(alone.map(({ text }) => text)).size).toBeGreaterThan(10);
});

test('a seed repeats its tokens, and another one draws others', async () => {
  const driver = await open();
  const hot = { temperature: 3, maxTokens: 20 };
  const texts = await Promise.all(
    [1, 2, 2].map((seed) => driver.ask(engineRequest({ ...hot, seed }))),
  );
  expect(texts[1]).toEqual(texts[2]);
  expect(texts[0]?.text).not.toBe(texts[1]?.text);
});

describe('lengths', () => {
  test('an answer ends where the context does', async () => {
    const driver = await open();
    const outcome = await driver.ask(engineRequest({ promptIds: promptOf(509, 1), maxTokens: 50 }));
    expect(outcome).toMatchObject({ tokens: 3, finishReason: 'LENGTH', error: null });
  });

  test('a prompt that leaves no room for an answer is refused, with both numbers', async () => {
    const driver = await open();
    const { error } = await driver.ask(engineRequest({ promptIds: promptOf(512, 1) }));
    expect(error?.code).toBe('BAD_INPUT');
    expect(error?.message).toContain('has 512 tokens');
    expect(error?.message).toContain('at most 512');
  });

  test('an empty prompt is refused', async () => {
    const driver = await open();
    const { error } = await driver.ask(engineRequest({ promptIds: [] }));
    expect(error).toMatchObject({ code: 'BAD_INPUT', message: 'the prompt is empty' });
  });
});

describe('cancelling', () => {
  test('ends a request wherever it is, and leaves the others alone', async () => {
    const driver = await open();
    const expected = await driver.ask(engineRequest({ maxTokens: 40 }));
    const other = driver.ask(engineRequest({ maxTokens: 40 }));
    const long = engineRequest({ maxTokens: 400, userId: 'b', adapter: adapter(1) });
    const running = driver.submit(long);
    const waiting = driver.submit(long);
    await driver.until(({ id, kind }) => id === running && kind === 'text');
    driver.loop.cancel(running);
    driver.loop.cancel(waiting);
    driver.loop.cancel(999);
    expect(await other).toEqual(expected);
    const after = await driver.ask(long);
    expect(after.finishReason).toBe('LENGTH');
    expect(driver.events.some(({ id }) => id === waiting)).toBe(false);
    expect(driver.events.some(({ id, kind }) => id === running && kind !== 'text')).toBe(false);
  });

  test('gives the room to who waits for it', async () => {
    // room for a single row of 512
    const classes = [{ maxTokens: 512, rows: 1, capacityTokens: 512, lanes: 1 }];
    const driver = await open({ limits: { classes } });
    const long = driver.submit(engineRequest({ maxTokens: 490 }));
    await driver.until(({ id }) => id === long);
    const next = driver.ask(engineRequest({ userId: 'b', maxTokens: 2 }));
    driver.loop.cancel(long);
    expect(await next).toMatchObject({ finishReason: 'LENGTH', tokens: 2 });
  });
});

describe('turns', () => {
  test('a flood of one user delays the first token of another by a few steps', async () => {
    const driver = await open();
    const flood = Array.from({ length: 40 }, (_, i) =>
      driver.submit(engineRequest({ promptIds: promptOf(180, i), maxTokens: 60, userId: 'flood' })),
    );
    await driver.until((event) => event.id === flood[4]);
    const before = driver.events.length;
    const id = driver.submit(engineRequest({ userId: 'newcomer', maxTokens: 3 }));
    await driver.until((event) => event.id === id);
    const first = driver.events.findIndex((event) => event.id === id);
    // the chunk under way, one of the flood's prompt in turn, and its own; up to 16 rows report in each step
    expect(first - before).toBeLessThan(4 * 17);
    for (const one of flood) driver.loop.cancel(one);
  });

  test('a long prompt delays running rows by one chunk at a time', async () => {
    const driver = await open();
    const running = driver.submit(engineRequest({ maxTokens: 60, promptIds: promptOf(5, 3) }));
    await driver.until(({ id }) => id === running);
    const seen = driver.events.length;
    const long = driver.submit(engineRequest({ promptIds: promptOf(400, 1), userId: 'b' }));
    await driver.until(({ id }) => id === long);
    const meanwhile = driver.events.slice(seen).filter(({ id }) => id === running);
    // seven chunks, and a token of the running row after each; some of its bytes are not a character yet
    expect(meanwhile.length).toBeGreaterThan(1);
    expect(
      Math.max(...meanwhile.map((event) => (event.kind === 'text' ? event.tokens : 0))),
    ).toBeGreaterThan(6);
  });

  test('a full queue sends callers away with a time to come back', async () => {
    const driver = await open({ limits: { maxWaiting: 3, maxWaitingPerUser: 2 } });
    const ids = Array.from({ length: 6 }, () => driver.submit(engineRequest({ maxTokens: 30 })));
    const { error } = await driver.ask(engineRequest());
    expect(error?.code).toBe('OVERLOADED');
    expect(error?.retryAfterMs).toBeGreaterThan(0);
    expect(await driver.ask(engineRequest({ userId: 'b' }))).toMatchObject({ error: null });
    for (const id of ids) driver.loop.cancel(id);
  });
});

describe('adapters', () => {
  test('that do not fit into memory together take turns', async () => {
    const driver = await open({ adapterBytes: 1 });
    const requests = mixed(8);
    const first = await Promise.all(requests.map((request) => driver.ask(request)));
    const again = await Promise.all(requests.map((request) => driver.ask(request)));
    expect(again).toEqual(first);
  });

  const damages: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
    'is truncated': (dir) => truncate(join(dir, 'adapter_model.safetensors'), 1000),
    'holds the bytes of another': (dir) =>
      copyFile(
        join(adapter(1).dir, 'adapter_model.safetensors'),
        join(dir, 'adapter_model.safetensors'),
      ),
    'says another rank than it has': (dir) =>
      copyFile(join(adapter(1).dir, 'adapter_config.json'), join(dir, 'adapter_config.json')),
  };
  test.each(Object.entries(damages))(
    'one that %s fails its requests only',
    async (name, damage) => {
      const driver = await open();
      const dir = join(fixture.base.dir, `damaged: ${name}`);
      await cp(adapter(0).dir, dir, { recursive: true });
      await damage(dir);
      const bad = engineRequest({ adapter: { ...adapter(0), dir } });
      const [broken, sound] = await Promise.all([driver.ask(bad), driver.ask(engineRequest())]);
      expect(broken.error?.code).toBeNull();
      expect(broken.error?.message).toContain(dir);
      expect(sound).toMatchObject({ error: null, finishReason: 'LENGTH' });
      // nothing of the damaged one is remembered under its name
      expect(await driver.ask({ ...bad, adapter: adapter(0) })).toMatchObject({ error: null });
    },
  );

  test('one that is not there is named', async () => {
    const driver = await open();
    const missing = { sha256: 'a'.repeat(64), dir: join(fixture.base.dir, 'nowhere') };
    const { error } = await driver.ask(engineRequest({ adapter: missing }));
    expect(error?.message).toContain('nowhere');
  });

  test('one that is away fails whoever asks for it until it is back', async () => {
    const driver = await open();
    const request = engineRequest({ adapter: adapter(2) });
    const away = `${adapter(2).dir}.away`;
    await rename(adapter(2).dir, away);
    const failed = await Promise.all([driver.ask(request), driver.ask(request)]);
    for (const { error } of failed) expect(error?.adapter).toBe(adapter(2).sha256);
    await rename(away, adapter(2).dir);
    expect(await driver.ask(request)).toMatchObject({ error: null, finishReason: 'LENGTH' });
  });

  test('of a waiting request is fetched while it waits, and stays for as long as it runs', async () => {
    // room for one row, and for no adapter that nobody uses
    const classes = [{ maxTokens: 512, rows: 1, capacityTokens: 512, lanes: 1 }];
    const driver = await open({ limits: { classes }, adapterBytes: 1 });
    const request = engineRequest({ adapter: adapter(3), userId: 'b' });
    const expected = await driver.ask(request);
    const running = driver.submit(engineRequest({ maxTokens: 480 }));
    await driver.until(({ id }) => id === running);
    const folder = { ...adapter(3), dir: join(fixture.base.dir, 'moves') };
    await cp(adapter(3).dir, folder.dir, { recursive: true });
    const waiting = driver.ask({ ...request, adapter: folder });
    // whoever had not fetched it by now would find nothing
    const seen = driver.events.length;
    await driver.until((event) => event.id === running && driver.events.indexOf(event) > seen + 20);
    await rm(folder.dir, { recursive: true });
    driver.loop.cancel(running);
    expect(await waiting).toEqual(expected);
  });
});
