import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine } from '../../src/inference/engine-client.ts';
import type { AdapterFolder, EngineRequest } from '../../src/inference/engine-protocol.ts';
import {
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
} from '../support/inference/engine-fixture.ts';
import { enginePids } from '../support/inference/engine-pids.ts';
import { driveLoop, type Outcome } from '../support/inference/loop-driver.ts';
import { randomNumbers } from '../support/model/random-llama.ts';

// The seeds are fixed: what fails once fails always.
const KINDS = 24;

let fixture: EngineFixture;
let alone: readonly Outcome[];
let kinds: readonly EngineRequest[];

beforeAll(async () => {
  fixture = await engineFixture();
  kinds = Array.from({ length: KINDS }, (_, i) => kindOf(i));
  const driver = await driveLoop(fixture);
  const outcomes: Outcome[] = [];
  for (const kind of kinds) outcomes.push(await driver.ask(kind));
  await driver.close();
  alone = outcomes;
});
afterAll(() => fixture.remove());

/** One of a few requests that differ in everything that a request can differ in. */
function kindOf(i: number): EngineRequest {
  const random = randomNumbers(100 + i);
  const whole = (max: number) => Math.floor(random() * max);
  return engineRequest({
    promptIds: promptOf(1 + whole(300), i),
    adapter: whole(4) === 0 ? null : (fixture.adapters[whole(5)] as AdapterFolder),
    maxTokens: 1 + whole(24),
    temperature: whole(2) * random() * 2,
    topP: 0.2 + 0.8 * random(),
    seed: whole(1000),
    stop: whole(3) === 0 ? ['a', '\ufffd\ufffd\ufffd'] : [],
    userId: `user ${whole(6)}`,
  });
}

test('200 requests that come, go and are cancelled at random are answered as each alone', async () => {
  const driver = await driveLoop(fixture, {
    // room for few adapters and rows, so that everything has to wait and to be loaded again
    adapterBytes: 2 ** 18,
    limits: { classes: [{ maxTokens: 512, rows: 9, capacityTokens: 2048, lanes: 3 }] },
  });
  const random = randomNumbers(1);
  const asked: { readonly kind: number; readonly outcome: Promise<Outcome> }[] = [];
  const cancelled: number[] = [];
  for (let i = 0; i < 200; i += 1) {
    const kind = Math.floor(random() * KINDS);
    const request = kinds[kind] as EngineRequest;
    if (random() < 0.2) cancelled.push(driver.submit({ ...request, maxTokens: 100 }));
    else asked.push({ kind, outcome: driver.ask(request) });
    const seen = driver.events.length;
    if (random() < 0.6) await driver.until((event) => driver.events.indexOf(event) >= seen);
    if (random() < 0.3) driver.loop.cancel(cancelled.shift() ?? -1);
  }
  for (const id of cancelled) driver.loop.cancel(id);
  for (const { kind, outcome } of asked) expect(await outcome).toEqual(alone[kind]);
  await driver.close();
});

test('requests to an engine that is killed at random are answered as each alone, or fail as retryable', async () => {
  const engine = await startEngine({ baseDir: fixture.base.dir, threads: 1 });
  const random = randomNumbers(2);
  const ask = async (kind: number): Promise<number> => {
    const request = kinds[kind] as EngineRequest;
    let done: { text: string; completionTokens: number } | null = null;
    for await (const event of engine.generate(request, new AbortController().signal))
      if (event.kind === 'done') done = event;
    expect(done).toMatchObject({ text: alone[kind]?.text, completionTokens: alone[kind]?.tokens });
    return 1;
  };
  let answered = 0;
  for (let round = 0; round < 3; round += 1) {
    const asked = Array.from({ length: 30 }, () =>
      ask(Math.floor(random() * KINDS)).catch((error: { code?: string }) => {
        if (error.code === 'UNAVAILABLE') return 0;
        throw error;
      }),
    );
    await Promise.race(asked);
    const [pid] = await enginePids();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    for (const count of await Promise.all(asked)) answered += count;
  }
  expect(answered).toBeGreaterThan(2);
  expect(await ask(0)).toBe(1);
  await engine.close();
});
