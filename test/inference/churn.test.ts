import { rename } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AdapterError } from '../../src/inference/adapter-error.ts';
import { type Engine, startEngine } from '../../src/inference/engine-client.ts';
import type {
  AdapterFolder,
  EngineEvent,
  EngineRequest,
} from '../../src/inference/engine-protocol.ts';
import { must } from '../../src/lib/errors.ts';
import { LORA_MODULES } from '../../src/model/lora/lora.ts';
import {
  type EngineFixture,
  engineFixture,
  engineRequest,
  promptOf,
  writeAdapter,
} from '../support/inference/engine-fixture.ts';
import { enginePids } from '../support/inference/engine-pids.ts';
import { randomAdapter, randomNumbers } from '../support/model/random-llama.ts';
import { soakRuns } from '../support/soak.ts';

// Users ask with whatever adapter is theirs at the moment, while adapters are published and rolled back, vanish from the
// disk and come back, answers are cancelled and the engine is killed. All users ask the same questions, so an answer tells
// whose adapter gave it. The seed is fixed; what order things really come in is the machine's.
const RUNS = soakRuns(300);
const USERS = 10;
const VERSIONS = 5;
const IN_FLIGHT = 24;
/** Room for a handful of adapters: nearly every request has to load its own, and to push out another. */
const ADAPTER_BYTES = 2 ** 18;
const RUNS_PER_KILL = 140;

const QUESTIONS: readonly EngineRequest[] = [
  engineRequest({ promptIds: promptOf(9, 1), maxTokens: 10 }),
  engineRequest({
    promptIds: promptOf(80, 2),
    ...{ maxTokens: 14, temperature: 0.9, topP: 0.9, seed: 5 },
  }),
];

type Done = Extract<EngineEvent, { kind: 'done' }>;

/** What a request used, and how it ended. */
interface Outcome {
  readonly question: number;
  readonly user: number;
  readonly version: number;
  readonly wasCancelled: boolean;
  /** Whether its adapter was missing from the disk at some time meanwhile. */
  readonly wasAway: boolean;
  readonly done: Done | null;
  readonly error: unknown;
}

let fixture: EngineFixture;
let engine: Engine;
/** By user and version. */
let adapters: readonly (readonly AdapterFolder[])[];

beforeAll(async () => {
  fixture = await engineFixture();
  engine = await startEngine({
    ...{ baseDir: fixture.base.dir, threads: 1, adapterBytes: ADAPTER_BYTES },
  });
  adapters = await Promise.all(Array.from({ length: USERS }, (_, user) => versionsOf(user)));
});
afterAll(async () => {
  await engine.close();
  await fixture.remove();
});

function versionsOf(user: number): Promise<AdapterFolder[]> {
  const write = (version: number) => {
    const rank = [4, 8, 12][(user + version) % 3] ?? 8;
    const shape = { rank, alpha: 2 * rank, modules: LORA_MODULES };
    const adapter = randomAdapter(fixture.base.config, shape, 1000 + user * VERSIONS + version);
    return writeAdapter(fixture.base, adapter, `user-${user}-${version}`);
  };
  return Promise.all(Array.from({ length: VERSIONS }, (_, version) => write(version)));
}

function adapterOf(user: number, version: number): AdapterFolder {
  return must(adapters[user]?.[version], `version ${version} of user ${user}`);
}

async function answer(request: EngineRequest, leaveAfter = Infinity): Promise<Done | null> {
  const call = new AbortController();
  let heard = 0;
  for await (const event of engine.generate(request, call.signal)) {
    heard += 1;
    if (event.kind === 'done') return event;
    if (heard >= leaveAfter) call.abort();
  }
  return null;
}

/** What happens to the users' adapters and to the engine. */
class Churn {
  readonly #random = randomNumbers(7);
  readonly #live = Array<number>(USERS).fill(0);
  readonly #away = new Set<AdapterFolder>();
  readonly #awayCounts = new Map<AdapterFolder, number>();
  readonly counts = { published: 0, rolledBack: 0, away: 0, kills: 0 };

  whole(below: number): number {
    return Math.floor(this.#random() * below);
  }

  async befall(run: number): Promise<void> {
    const user = this.whole(USERS);
    const dice = this.#random();
    if (dice < 0.1) this.#publish(user);
    else if (dice < 0.15) this.#rollBack(user);
    else if (dice < 0.18) await this.#takeAway(adapterOf(user, this.whole(VERSIONS)));
    else if (dice < 0.25) await this.bringBack();
    if (run % RUNS_PER_KILL === RUNS_PER_KILL - 1) await this.#kill();
  }

  /** Asks as a user does: with the adapter that is live now, which it is told by its version. */
  async ask(): Promise<Outcome> {
    const user = this.whole(USERS);
    const version = must(this.#live[user], 'a live version');
    const adapter = adapterOf(user, version);
    const question = this.whole(QUESTIONS.length);
    const wasCancelled = this.#random() < 0.12;
    const leaveAfter = wasCancelled ? 1 + this.whole(6) : Infinity;
    const awayBefore = this.#away.has(adapter) ? -1 : this.#awayCounts.get(adapter);
    const request = { ...must(QUESTIONS[question], 'a question'), adapter, userId: `user ${user}` };
    const { done, error } = await answer(request, leaveAfter).then(
      (ended) => ({ done: ended, error: null }),
      (reason: unknown) => ({ done: null, error: reason }),
    );
    const wasAway = this.#awayCounts.get(adapter) !== awayBefore;
    return { question, user, version, wasCancelled, wasAway, done, error };
  }

  async bringBack(): Promise<void> {
    for (const adapter of this.#away) {
      await rename(`${adapter.dir}.away`, adapter.dir);
      this.#away.delete(adapter);
    }
  }

  #publish(user: number): void {
    const version = (must(this.#live[user], 'a live version') + 1) % VERSIONS;
    this.#live[user] = version;
    engine.warm(adapterOf(user, version));
    this.counts.published += 1;
  }

  #rollBack(user: number): void {
    this.#live[user] = this.whole(must(this.#live[user], 'a live version') + 1);
    this.counts.rolledBack += 1;
  }

  async #takeAway(adapter: AdapterFolder): Promise<void> {
    if (this.#away.has(adapter)) return;
    this.#away.add(adapter);
    this.#awayCounts.set(adapter, (this.#awayCounts.get(adapter) ?? 0) + 1);
    await rename(adapter.dir, `${adapter.dir}.away`);
    this.counts.away += 1;
  }

  async #kill(): Promise<void> {
    const [pid] = await enginePids();
    if (pid === undefined) return;
    process.kill(pid, this.counts.kills % 2 === 0 ? 'SIGKILL' : 'SIGABRT');
    this.counts.kills += 1;
  }
}

async function churn(world: Churn): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const running = new Set<Promise<void>>();
  for (let run = 0; run < RUNS; run += 1) {
    await world.befall(run);
    const one = world.ask().then((outcome) => {
      outcomes.push(outcome);
      running.delete(one);
    });
    running.add(one);
    if (running.size >= IN_FLIGHT) await Promise.race(running);
  }
  await Promise.all(running);
  await world.bringBack();
  return outcomes;
}

/** Every question to every adapter, one after the other, with nobody else there. */
async function answersAlone(): Promise<ReadonlyMap<string, Done>> {
  const alone = new Map<string, Done>();
  for (const [user, versions] of adapters.entries())
    for (const [version, adapter] of versions.entries())
      for (const [question, request] of QUESTIONS.entries()) {
        const done = await answer({ ...request, adapter });
        alone.set(`${question} ${user} ${version}`, must(done, 'an answer'));
      }
  return alone;
}

/** Why an outcome is not one that there may be; null when it is. */
function flawOf(outcome: Outcome, alone: Done): string | null {
  const { done, error, wasCancelled, wasAway } = outcome;
  if (error instanceof AdapterError) return wasAway ? null : error.message;
  const isRetryable = (error as { code?: string } | null)?.code === 'UNAVAILABLE';
  if (done === null) return isRetryable ? null : String(error);
  if (done.finishReason !== 'CANCELLED')
    return JSON.stringify(done) === JSON.stringify(alone) ? null : `said ${done.text}`;
  if (!wasCancelled) return 'was cancelled by nobody';
  return alone.text.startsWith(done.text) ? null : `had begun with ${done.text}`;
}

test(`${RUNS} requests over ${USERS * VERSIONS} adapters in the midst of everything are answered as each alone`, {
  timeout: 60_000 + RUNS * 200,
}, async ({ annotate }) => {
  const world = new Churn();
  const outcomes = await churn(world);
  const alone = await answersAlone();
  const texts = [...alone.values()].map(({ text }) => text);
  expect(new Set(texts).size).toBe(texts.length);

  const flaws = outcomes.flatMap((outcome) => {
    const { question, user, version } = outcome;
    const flaw = flawOf(outcome, must(alone.get(`${question} ${user} ${version}`), 'an answer'));
    return flaw === null ? [] : [{ question, user, version, flaw }];
  });
  expect(flaws).toEqual([]);
  expect(outcomes).toHaveLength(RUNS);
  const finished = outcomes.filter(
    ({ done }) => done !== null && done.finishReason !== 'CANCELLED',
  );
  // an engine that dies takes at most what is under way with it, and most of that is begun anew
  expect(finished.length).toBeGreaterThan(RUNS * 0.6);
  for (const count of Object.values(world.counts)) expect(count).toBeGreaterThan(0);
  const failed = outcomes.filter(({ error }) => error !== null);
  const away = failed.filter(({ error }) => error instanceof AdapterError).length;
  const counts = { finished: finished.length, adapterAway: away, engineGone: failed.length - away };
  await annotate(JSON.stringify({ ...world.counts, ...counts }));
});
