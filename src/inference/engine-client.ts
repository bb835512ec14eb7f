// The inference engine as the server uses it: a process of its own, so that a crash in native code costs a few answers and
// never the server. A process that dies, or that gives no sign of life any more, is replaced.

import { cancellable } from '../lib/cancellable.ts';
import { type Clock, rest, systemClock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { EngineChild, EngineGoneError } from './engine-child.ts';
import type { AdapterFolder, AdapterTier, EngineEvent, EngineRequest } from './engine-protocol.ts';

/** Answers requests with one base and any of its adapters. */
export interface Engine {
  /** The answer in pieces, then `done`. Aborting the signal, or leaving the iteration, frees the row at once; the
   *  aborted answer still ends with `done`, as CANCELLED.
   *  An answer of which nothing has come is begun anew when the engine dies.
   *  Throws BAD_INPUT for a prompt that does not fit the context, OVERLOADED when the queue is full, UNAVAILABLE
   *  when the engine dies in the middle or again or cannot be started, and AdapterError for an adapter that is unfit. */
  generate(request: EngineRequest, signal: AbortSignal): AsyncIterableIterator<EngineEvent>;
  /** Loads an adapter that will soon be asked for. */
  warm(adapter: AdapterFolder): void;
  /** Drops the adapters of a user from memory. */
  forget(owner: string): void;
  /** Ends the engine's process, within a second. Requests under way end with UNAVAILABLE. */
  close(): Promise<void>;
}

/** How to start an engine. */
export interface EngineOptions {
  /** The folder of the base package. */
  readonly baseDir: string;
  readonly threads: number;
  /** The most memory that keys and values may take (default 1.5 GiB); the system hands out what is really used. */
  readonly kvBytes?: number;
  /** The most memory for adapters that no request uses at the moment (default 512 MiB). */
  readonly adapterBytes?: number;
  /** Whether a row that decodes alone guesses several tokens at a time (default false; prompt-lookup.ts). */
  readonly speculation?: boolean;
  readonly clock?: Clock;
  /** Told why the engine is started again. */
  readonly onRestart?: (reason: string) => void;
  /** Told where each adapter was that an answer asked for. */
  readonly onAdapter?: (tier: AdapterTier) => void;
}

const MIB = 2 ** 20;
const DEFAULT_KV_BYTES = 1536 * MIB;
const DEFAULT_ADAPTER_BYTES = 512 * MIB;

/** How often an answer is begun: one whose engine dies before the first token has another try, and one that kills every
 *  engine is given up. */
const MAX_ATTEMPTS = 2;

/** Waits between attempts to start an engine that does not start. */
const RETRY_MS = [1000, 2000, 5000, 10_000, 30_000];

/** Starts the engine's process and waits until it can answer. Throws when it does not start. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { baseDir, threads, clock = systemClock, onRestart = () => undefined } = options;
  const { kvBytes = DEFAULT_KV_BYTES, adapterBytes = DEFAULT_ADAPTER_BYTES } = options;
  const { speculation = false } = options;
  const settings = { baseDir, threads, kvBytes, adapterBytes, speculation };
  const start = () => EngineChild.start(settings, { clock, onAdapter: options.onAdapter });
  return new SupervisedEngine(await start(), { start, clock, onRestart });
}

interface Supervision {
  readonly start: () => Promise<EngineChild>;
  readonly clock: Clock;
  readonly onRestart: (reason: string) => void;
}

class SupervisedEngine implements Engine {
  readonly #supervision: Supervision;
  readonly #closing = new AbortController();
  readonly #supervised: Promise<void>;
  /** Pending while an attempt to start is under way, rejected until the next one when it failed. */
  #child: Promise<EngineChild>;

  constructor(first: EngineChild, supervision: Supervision) {
    this.#supervision = supervision;
    this.#child = Promise.resolve(first);
    this.#supervised = this.#supervise(first);
  }

  generate(request: EngineRequest, signal: AbortSignal): AsyncIterableIterator<EngineEvent> {
    return cancellable((ended) => this.#generate(request, ended), signal);
  }

  warm(adapter: AdapterFolder): void {
    // an engine that is being replaced loads it when it is asked for
    this.#child.then(
      (child) => child.warm(adapter),
      () => undefined,
    );
  }

  forget(owner: string): void {
    // an engine that is being replaced has none
    this.#child.then(
      (child) => child.forget(owner),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    this.#closing.abort(unavailable('the engine is shut down'));
    const child = await this.#child.catch(() => null);
    await child?.stop();
    await this.#supervised;
  }

  async *#generate(request: EngineRequest, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    this.#closing.signal.throwIfAborted();
    for (let attempt = 1; ; attempt += 1) {
      const starting = this.#child;
      const child = await Promise.race([starting, aborted(signal)]);
      if (child === null) return yield unheard(request);
      let hasSpoken = false;
      try {
        for await (const event of child.generate(request, signal)) {
          hasSpoken = true;
          yield event;
        }
        return;
      } catch (error) {
        const isReplaced = error instanceof EngineGoneError && this.#child !== starting;
        if (hasSpoken || !isReplaced || attempt >= MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #supervise(first: EngineChild): Promise<void> {
    let child: EngineChild | null = first;
    while (child !== null) {
      const reason = await child.ended;
      if (this.#closing.signal.aborted) return;
      this.#supervision.onRestart(reason);
      child = await this.#restart();
    }
  }

  /** Tries until an engine is up; null when there is to be none any more. The first attempt begins before anyone can ask
   *  for the engine that died. */
  async #restart(): Promise<EngineChild | null> {
    const { start, clock, onRestart } = this.#supervision;
    for (let attempt = 0; !this.#closing.signal.aborted; attempt += 1) {
      this.#child = start().catch((cause) => {
        throw unavailable('the engine does not start', cause);
      });
      const child = await this.#child.catch((error: Error) => {
        onRestart(`${error.message}: ${String(error.cause)}`);
        return null;
      });
      if (child !== null) return child;
      const delayMs = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] ?? 0;
      // closing ends the wait, and then the loop
      await rest(clock, delayMs, this.#closing.signal);
    }
    return null;
  }
}

/** Resolves to null when the signal aborts. */
function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}

/** The end of an answer that was cancelled before an engine had heard of it. */
function unheard({ promptIds, topLogprobs }: EngineRequest): EngineEvent {
  return {
    ...{ kind: 'done', finishReason: 'CANCELLED', text: '', completionTokens: 0 },
    promptTokens: promptIds.length,
    ...(topLogprobs !== undefined && { logprobs: [] }),
  };
}

function unavailable(what: string, cause?: unknown): AppError {
  return new AppError('UNAVAILABLE', `${what}; try again later`, { cause });
}
