// The inference engine as the server uses it: a process of its own, so that a crash in native code costs a few answers and
// never the server. A process that dies is replaced.

import { cancellable } from '../lib/cancellable.ts';
import { type Clock, rest, systemClock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { EngineChild } from './engine-child.ts';
import type { AdapterFolder, EngineEvent, EngineRequest } from './engine-protocol.ts';

/** Answers requests with one base and any of its adapters. */
export interface Engine {
  /** The answer in pieces, then `done`. Aborting the signal, or leaving the iteration, frees the row at once; the
   *  aborted answer still ends with `done`, as CANCELLED.
   *  Throws BAD_INPUT for a prompt that does not fit the context, OVERLOADED when the queue is full, and UNAVAILABLE
   *  when the engine dies meanwhile or cannot be started. */
  generate(request: EngineRequest, signal: AbortSignal): AsyncIterableIterator<EngineEvent>;
  /** Loads an adapter that will soon be asked for. */
  warm(adapter: AdapterFolder): void;
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
  readonly clock?: Clock;
  /** Told why the engine is started again. */
  readonly onRestart?: (reason: string) => void;
}

const MIB = 2 ** 20;
const DEFAULT_KV_BYTES = 1536 * MIB;
const DEFAULT_ADAPTER_BYTES = 512 * MIB;

/** Waits between attempts to start an engine that does not start. */
const RETRY_MS = [1000, 2000, 5000, 10_000, 30_000];

/** Starts the engine's process and waits until it can answer. Throws when it does not start. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { baseDir, threads, clock = systemClock, onRestart = () => undefined } = options;
  const { kvBytes = DEFAULT_KV_BYTES, adapterBytes = DEFAULT_ADAPTER_BYTES } = options;
  const settings = { baseDir, threads, kvBytes, adapterBytes };
  const start = () => EngineChild.start(settings, clock);
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

  async close(): Promise<void> {
    this.#closing.abort(unavailable('the engine is shut down'));
    const child = await this.#child.catch(() => null);
    await child?.stop();
    await this.#supervised;
  }

  async *#generate(request: EngineRequest, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    this.#closing.signal.throwIfAborted();
    const child = await this.#child;
    yield* child.generate(request, signal);
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

function unavailable(what: string, cause?: unknown): AppError {
  return new AppError('UNAVAILABLE', `${what}; try again later`, { cause });
}
