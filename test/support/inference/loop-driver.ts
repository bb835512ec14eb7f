// An engine's loop in the test's own process: asks, and waits for what comes of it.

import { AdapterCache } from '../../../src/inference/adapter-cache.ts';
import { engineLimits } from '../../../src/inference/engine-limits.ts';
import { EngineLoop } from '../../../src/inference/engine-loop.ts';
import type {
  EngineRequest,
  RequestEvent,
  WireError,
} from '../../../src/inference/engine-protocol.ts';
import { adapterLoader } from '../../../src/inference/load-adapter.ts';
import { openRunner } from '../../../src/inference/open-runner.ts';
import type { SchedulerLimits } from '../../../src/inference/scheduler.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { loadTokenizer } from '../../../src/model/base/base-package.ts';
import { decodePackage } from '../../../src/model/decode/decode-package.ts';
import { deferred } from '../deferred.ts';
import type { EngineFixture } from './engine-fixture.ts';

/** How a request ended. */
export interface Outcome {
  readonly text: string;
  readonly tokens: number;
  readonly finishReason: 'STOP' | 'LENGTH' | null;
  readonly error: WireError | null;
}

/** A loop that works in the background. */
export interface LoopDriver {
  readonly loop: EngineLoop;
  /** Every event so far, in order. */
  readonly events: readonly RequestEvent[];
  /** Submits a request under the next id and waits for its end. */
  ask(request: EngineRequest): Promise<Outcome>;
  /** Submits a request; its id. */
  submit(request: EngineRequest): number;
  /** Waits until an event satisfies the condition, now or later. */
  until(condition: (event: RequestEvent) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** What a test may change about the engine. */
export interface LoopOptions {
  readonly limits?: Partial<SchedulerLimits>;
  readonly kvBytes?: number;
  readonly adapterBytes?: number;
  readonly speculation?: boolean;
}

/** Opens the fixture's base and starts a loop on it. */
export async function driveLoop(
  { base }: EngineFixture,
  { limits = {}, kvBytes = 2 ** 26, adapterBytes = 2 ** 24, speculation = false }: LoopOptions = {},
): Promise<LoopDriver> {
  const events: RequestEvent[] = [];
  const watchers: { matches(event: RequestEvent): boolean; resolve(): void }[] = [];
  const runner = await openRunner(await decodePackage(base, 'i8'), base.config, 1);
  const loop = new EngineLoop({
    config: base.config,
    runner,
    tokenizer: await loadTokenizer(base),
    adapters: new AdapterCache(adapterLoader(base, runner), adapterBytes),
    limits: { ...engineLimits(base.config, kvBytes), ...limits },
    speculation,
    clock: systemClock,
    randomSeed: () => 1,
    report: (news) => {
      events.push(...news);
      for (const { matches, resolve } of watchers) if (news.some(matches)) resolve();
    },
  });
  const running = loop.run();
  let nextId = 1;
  const submit = (request: EngineRequest) => {
    nextId += 1;
    loop.submit(nextId, request);
    return nextId;
  };
  const until = (matches: (event: RequestEvent) => boolean) => {
    const seen = deferred();
    watchers.push({ matches, resolve: seen.resolve });
    if (events.some(matches)) seen.resolve();
    return seen.promise;
  };
  return {
    loop,
    events,
    submit,
    until,
    async ask(request) {
      const id = submit(request);
      await until((event) => event.id === id && event.kind !== 'text');
      return outcomeOf(events.filter((event) => event.id === id));
    },
    async close() {
      loop.close();
      await running;
      await runner.close();
    },
  };
}

function outcomeOf(events: readonly RequestEvent[]): Outcome {
  const text = events.map((event) => (event.kind === 'text' ? event.text : '')).join('');
  const last = events.at(-1);
  return {
    text,
    tokens: last?.kind === 'done' ? last.tokens : 0,
    finishReason: last?.kind === 'done' ? last.finishReason : null,
    error: last?.kind === 'error' ? last.error : null,
  };
}
