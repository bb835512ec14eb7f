import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, startEngine } from '../../src/inference/engine-client.ts';
import type {
  AdapterFolder,
  EngineEvent,
  EngineRequest,
} from '../../src/inference/engine-protocol.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { forkScript } from '../../src/lib/fork-script.ts';
import { fastClock } from '../support/clocks/fast-clock.ts';
import { deferred } from '../support/deferred.ts';
import {
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
} from '../support/inference/engine-fixture.ts';
import { enginePids } from '../support/inference/engine-pids.ts';

let fixture: EngineFixture;
const engines: Engine[] = [];

beforeAll(async () => {
  fixture = await engineFixture();
});
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});
afterAll(() => fixture.remove());

async function open(onRestart: (reason: string) => void = () => undefined): Promise<Engine> {
  const engine = await startEngine({ baseDir: fixture.base.dir, threads: 1, onRestart });
  engines.push(engine);
  return engine;
}

const never = () => new AbortController().signal;
const adapter = () => fixture.adapters[0] as AdapterFolder;

async function answer(engine: Engine, request: EngineRequest): Promise<EngineEvent | undefined> {
  let last: EngineEvent | undefined;
  for await (const event of engine.generate(request, never())) last = event;
  return last;
}

/** Processor time of a process so far, in hundredths of a second. Linux only. */
async function ticksOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

describe('an engine', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await startEngine({ baseDir: fixture.base.dir, threads: 1 });
  });
  afterAll(() => engine.close());

  test('an answer comes in pieces, which joined are its text', async () => {
    const request = engineRequest({ adapter: adapter(), maxTokens: 30 });
    const events: EngineEvent[] = [];
    for await (const event of engine.generate(request, never())) events.push(event);
    const text = events.map((event) => (event.kind === 'text' ? event.text : '')).join('');
    expect(events.length).toBeGreaterThan(3);
    expect(events.at(-1)).toEqual({
      kind: 'done',
      finishReason: 'LENGTH',
      text,
      promptTokens: 20,
      completionTokens: 30,
    });
  });

  test('tells how likely each token was, the same alone and in company, and as far as it came', async () => {
    const request = engineRequest({ adapter: adapter(), maxTokens: 9, topLogprobs: 3 });
    const alone = await answer(engine, request);
    const others = [1, 2, 3].map((seed) => engineRequest({ promptIds: promptOf(70, seed) }));
    const [together] = await Promise.all([request, ...others].map((one) => answer(engine, one)));
    expect(together).toEqual(alone);
    const logprobs = alone?.kind === 'done' ? (alone.logprobs ?? []) : [];
    expect(logprobs).toHaveLength(9);
    for (const { token, logprob, topLogprobs } of logprobs) {
      // greedy: what was written is the likeliest
      expect(topLogprobs[0]).toEqual({ token, logprob });
      expect(topLogprobs).toHaveLength(3);
      const mass = topLogprobs.reduce((sum, one) => sum + Math.exp(one.logprob), 0);
      expect(mass).toBeGreaterThan(0);
      expect(mass).toBeLessThanOrEqual(1);
    }
    const hot = await answer(engine, { ...request, temperature: 5, seed: 1 });
    const first = hot?.kind === 'done' ? hot.logprobs?.[0] : undefined;
    // another choice from the very same distribution
    expect(first?.topLogprobs).toEqual(logprobs[0]?.topLogprobs);
  });

  test('errors for the caller come through as they are', async () => {
    const tooLong = engineRequest({ promptIds: promptOf(600, 1) });
    await expect(answer(engine, tooLong)).rejects.toMatchObject({
      name: 'AppError',
      code: 'BAD_INPUT',
      message: expect.stringContaining('has 600 tokens'),
    });
    const missing = engineRequest({ adapter: { sha256: 'f'.repeat(64), dir: '/nowhere' } });
    await expect(answer(engine, missing)).rejects.toThrow('/nowhere');
  });

  test('cancelled ends an answer with what there is of it', async () => {
    const controller = new AbortController();
    const events: EngineEvent[] = [];
    const request = engineRequest({ maxTokens: 480 });
    for await (const event of engine.generate(request, controller.signal)) {
      events.push(event);
      if (events.length === 3) controller.abort();
    }
    const pieces = events.flatMap((event) => (event.kind === 'text' ? [event.text] : []));
    expect(events.at(-1)).toMatchObject({ finishReason: 'CANCELLED', text: pieces.join('') });
    expect(pieces.length).toBeLessThan(100);
  });

  test('cancelled before the start gives an empty answer', async () => {
    const events: EngineEvent[] = [];
    for await (const event of engine.generate(engineRequest(), AbortSignal.abort()))
      events.push(event);
    expect(events).toMatchObject([{ finishReason: 'CANCELLED', text: '', completionTokens: 0 }]);
  });

  test('left in the middle of an answer frees the row', async () => {
    const long = engineRequest({ maxTokens: 480 });
    // 16 rows are one user's share, so the 17th would wait for ever if rows were not freed
    for (let i = 0; i < 20; i += 1)
      for await (const event of engine.generate(long, never())) if (event.kind === 'text') break;
    expect(await answer(engine, engineRequest())).toMatchObject({ finishReason: 'LENGTH' });
  });

  test('left by return() ends a read that is under way', async () => {
    const events = engine.generate(engineRequest({ maxTokens: 480 }), never());
    await events.next();
    const pending = events.next();
    await events.return?.();
    expect((await pending).done).toBe(false);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });
});

describe('an engine that is stopped and not killed', () => {
  // half a minute takes a second and a half
  const clock = fastClock(20);

  test('is given up, and the next one answers what nothing had come of', async () => {
    const restarted = deferred<string>();
    const tiers: string[] = [];
    const engine = await startEngine({
      ...{ baseDir: fixture.base.dir, threads: 1, clock },
      ...{ onRestart: restarted.resolve, onAdapter: (tier: string) => tiers.push(tier) },
    });
    engines.push(engine);
    const request = engineRequest({ adapter: adapter(), maxTokens: 5 });
    const before = await answer(engine, request);
    const [pid] = (await enginePids()).slice(-1);
    process.kill(pid ?? 0, 'SIGSTOP');
    const after = await answer(engine, request);
    expect(await restarted.promise).toContain('signal SIGKILL');
    expect(after).toEqual(before);
    expect(tiers).toEqual(['disk', 'disk']);
  });

  test('is left alone while it works, however long there is nothing else to say', async () => {
    const reasons: string[] = [];
    const engine = await startEngine({
      ...{ baseDir: fixture.base.dir, threads: 1, clock },
      onRestart: (reason) => reasons.push(reason),
    });
    engines.push(engine);
    await systemClock.sleep(3_000);
    expect(await answer(engine, engineRequest({ maxTokens: 5 }))).toMatchObject({ kind: 'done' });
    expect(reasons).toEqual([]);
  });
});

describe('a killed engine', () => {
  test('fails what it worked on as retryable, and is replaced by one that answers the same', async () => {
    const restarted = deferred<string>();
    const engine = await open(restarted.resolve);
    const request = engineRequest({ adapter: adapter(), maxTokens: 40 });
    const expected = await answer(engine, request);
    const running = engine.generate({ ...request, maxTokens: 480 }, never());
    await running.next();
    const [pid] = await enginePids();
    process.kill(pid ?? 0, 'SIGKILL');
    const rest = (async () => {
      for await (const _ of running);
    })();
    await expect(rest).rejects.toMatchObject({ name: 'AppError', code: 'UNAVAILABLE' });
    expect(await restarted.promise).toContain('signal SIGKILL');
    expect(await answer(engine, request)).toEqual(expected);
    expect(await enginePids()).not.toContain(pid);
  });

  test('begins anew what it had not begun to answer', async () => {
    const engine = await open();
    const request = engineRequest({ adapter: adapter(), maxTokens: 40 });
    const expected = await answer(engine, request);
    const [pid] = await enginePids();
    process.kill(pid ?? 0, 'SIGSTOP'); // whatever is asked now is not answered before the kill
    const waiting = [1, 2, 3].map(() => answer(engine, request));
    process.kill(pid ?? 0, 'SIGKILL');
    expect(await Promise.all(waiting)).toEqual([expected, expected, expected]);
  });

  test('keeps nobody waiting for the next one who does not want to', async () => {
    const engine = await open();
    const [pid] = await enginePids();
    const call = new AbortController();
    process.kill(pid ?? 0, 'SIGSTOP');
    const events = engine.generate(engineRequest({ topLogprobs: 0 }), call.signal);
    const first = events.next();
    process.kill(pid ?? 0, 'SIGKILL');
    call.abort();
    expect((await first).value).toMatchObject({ finishReason: 'CANCELLED', completionTokens: 0 });
  });

  test('is replaced again and again', async () => {
    const engine = await open();
    for (let i = 0; i < 3; i += 1) {
      const [pid] = await enginePids();
      process.kill(pid ?? 0, 'SIGKILL');
      const outcome = answer(engine, engineRequest()).catch(
        (error: { code: string }) => error.code,
      );
      expect([expect.objectContaining({ kind: 'done' }), 'UNAVAILABLE']).toContainEqual(
        await outcome,
      );
      expect(await answer(engine, engineRequest())).toMatchObject({ finishReason: 'LENGTH' });
    }
  });
});

describe('the end', () => {
  test('of the engine ends its process and what it worked on, and takes no more', async () => {
    const engine = await open();
    const running = engine.generate(engineRequest({ maxTokens: 480 }), never());
    await running.next();
    await engine.close();
    expect(await enginePids()).toEqual([]);
    const rest = (async () => {
      for await (const _ of running);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(answer(engine, engineRequest())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('of the server ends the engine', async () => {
    const script = new URL('../support/inference/engine-owner.ts', import.meta.url);
    const { child } = forkScript(script);
    const started = deferred<number>();
    child.on('message', started.resolve);
    child.send(fixture.base.dir);
    const pid = await started.promise;
    child.kill('SIGKILL');
    // the process table is the only witness: look until the engine is gone
    await expect.poll(() => isAlive(pid)).toBe(false);
  });
});

test.runIf(process.platform === 'linux')(
  'an idle engine takes no processor time, and works as soon as it is asked',
  async () => {
    const engine = await startEngine({ baseDir: fixture.base.dir, threads: 2 });
    engines.push(engine);
    await answer(engine, engineRequest());
    const [pid] = await enginePids();
    const before = await ticksOf(pid ?? 0);
    // a second process is started and ended meanwhile: some real time goes by
    const other = await open();
    await answer(other, engineRequest());
    // garbage collection and the like take a few hundredths of a second; a spinning thread would take all of it
    expect((await ticksOf(pid ?? 0)) - before).toBeLessThan(20);
    expect(await answer(engine, engineRequest())).toMatchObject({ kind: 'done' });
  },
);

test('a base that is not there is told at the start', async () => {
  await expect(startEngine({ baseDir: '/nowhere', threads: 1 })).rejects.toThrow('/nowhere');
});

test('too little memory is told at the start, with the least that will do', async () => {
  const options = { baseDir: fixture.base.dir, threads: 1, kvBytes: 1000 };
  await expect(startEngine(options)).rejects.toThrow('give it at least');
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
