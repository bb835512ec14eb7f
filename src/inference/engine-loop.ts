// The loop of the engine: takes requests, asks the scheduler who runs, runs one chunk of a prompt and one token of every
// row, and reports. Requests come and go between runs only, since a run reads the cache in place.

import type { Clock } from '../lib/clock.ts';
import { AppError, must } from '../lib/errors.ts';
import type { LlamaConfig } from '../model/llama-config.ts';
import type { Tokenizer } from '../model/tokenizer/tokenizer.ts';
import type { AdapterCache, PinnedAdapter } from './adapter-cache.ts';
import { type AdapterImage, zeroImage } from './core/adapter-image.ts';
import { roomFor } from './core/generation.ts';
import { bucketOf } from './core/kv-block.ts';
import type { ModelRunner } from './core/model-runner.ts';
import { OutputGuide } from './core/output-guide.ts';
import { Sequence, type SequenceStep } from './core/sequence.ts';
import { Vocabulary } from './core/vocabulary.ts';
import { Doorbell } from './doorbell.ts';
import { DrainRate } from './drain-rate.ts';
import type { AdapterFolder, AdapterTier, EngineRequest, RequestEvent } from './engine-protocol.ts';
import { RunningRows } from './running-rows.ts';
import * as scheduler from './scheduler.ts';
import { toWireError } from './wire-error.ts';

/** What the loop works with. */
export interface EngineLoopOptions {
  readonly config: LlamaConfig;
  readonly runner: ModelRunner;
  readonly tokenizer: Pick<Tokenizer, 'decode' | 'eosTokenIds' | 'stream' | 'vocabulary'>;
  readonly adapters: AdapterCache;
  readonly limits: scheduler.SchedulerLimits;
  /** Whether a row that decodes alone guesses several tokens at a time (prompt-lookup.ts). */
  readonly speculation: boolean;
  readonly clock: Clock;
  /** For requests without a seed of their own. */
  readonly randomSeed: () => number;
  /** Called after each run with what it brought. */
  readonly report: (events: readonly RequestEvent[]) => void;
  /** Told where each adapter was that a request asked for. */
  readonly onAdapter?: (tier: AdapterTier) => void;
}

/** A request that is not over. */
interface Job {
  readonly id: number;
  readonly request: EngineRequest;
  readonly maxTokens: number;
  readonly pinned: PinnedAdapter | null;
  readonly guide: OutputGuide | null;
  /** Null until the adapter is in memory. */
  image: AdapterImage | null;
  /** Null while it waits. */
  sequence: Sequence | null;
}

/** Answers requests, as many at once as there is room for. */
export class EngineLoop {
  readonly #options: EngineLoopOptions;
  readonly #rows: RunningRows;
  readonly #noAdapter: AdapterImage;
  readonly #jobs = new Map<number, Job>();
  readonly #jobOf = new WeakMap<Sequence, Job>();
  readonly #doorbell = new Doorbell();
  readonly #drainRate = new DrainRate();
  /** Made when the first answer of a shape is wanted. */
  #vocabulary: Vocabulary | null = null;
  #schedule = scheduler.EMPTY_SCHEDULE;
  /** Jobs to end before the next run, with the error to report: null for those that nobody waits for any more. */
  #endings = new Map<number, Error | null>();
  #events: RequestEvent[] = [];
  #isClosed = false;

  constructor(options: EngineLoopOptions) {
    this.#options = options;
    this.#rows = new RunningRows(options.runner, options.config, options.limits.classes);
    this.#noAdapter = zeroImage(options.config);
  }

  /** Puts a request in line; its events are reported under `id`. */
  submit(id: number, request: EngineRequest): void {
    try {
      this.#admit(id, request);
    } catch (error) {
      this.#events.push({ kind: 'error', id, error: toWireError(error) });
      this.#flush();
    }
    this.#doorbell.ring();
  }

  /** Forgets a request, wherever it is; nothing more is reported of it. */
  cancel(id: number): void {
    this.#endLater(id, null);
  }

  /** Loads an adapter that will be asked for soon. */
  warm(adapter: AdapterFolder): void {
    this.#options.adapters.warm(adapter);
  }

  /** Drops the adapters of a user. */
  forget(owner: string): void {
    this.#options.adapters.forget(owner);
  }

  /** Works until `close`. It sleeps while there is nothing to do. */
  async run(): Promise<void> {
    while (!this.#isClosed) {
      if (await this.#step()) continue;
      this.#drainRate.idle();
      await this.#doorbell.wait();
    }
  }

  /** Makes `run` return after the run under way. */
  close(): void {
    this.#isClosed = true;
    this.#doorbell.ring();
  }

  #admit(id: number, request: EngineRequest): void {
    const { config, limits, adapters } = this.#options;
    const maxTokens = Math.min(request.maxTokens, roomFor(request, config));
    const reservedTokens = bucketOf(request.promptIds.length + maxTokens);
    const lengthClass = scheduler.lengthClassOf(limits, reservedTokens);
    const guide = this.#guideOf(request);
    const ticket = { id, userId: request.userId, lengthClass, reservedTokens };
    const schedule = scheduler.enqueue(this.#schedule, ticket, limits);
    if (schedule === null) throw this.#overloaded();
    this.#schedule = schedule;
    const pinned = request.adapter === null ? null : adapters.pin(request.adapter);
    if (pinned !== null) this.#options.onAdapter?.(pinned.tier);
    const image = pinned === null ? this.#noAdapter : null;
    const job: Job = { id, request, maxTokens, pinned, guide, image, sequence: null };
    this.#jobs.set(id, job);
    pinned?.image.then(
      (loaded) => {
        job.image = loaded;
        this.#doorbell.ring();
      },
      (error: Error) => this.#endLater(id, error),
    );
  }

  #guideOf({ output }: EngineRequest): OutputGuide | null {
    if (output === undefined) return null;
    const { tokenizer, config } = this.#options;
    this.#vocabulary ??= new Vocabulary(tokenizer.vocabulary(), config.vocabSize);
    return new OutputGuide(this.#vocabulary, output);
  }

  #overloaded(): AppError {
    const waiting = this.#schedule.waiting.length;
    const retryAfterMs = this.#drainRate.retryAfterMs(waiting);
    const message = `${waiting} requests are waiting for an answer; try again in ${retryAfterMs} ms`;
    return new AppError('OVERLOADED', message, { retryAfterMs });
  }

  /** One chunk of one prompt, and one token of every row. False when nobody could run. */
  async #step(): Promise<boolean> {
    this.#endJobs();
    this.#startJobs();
    let hasRun = await this.#readPrompt();
    for (const lengthClass of this.#options.limits.classes.keys()) {
      this.#endJobs();
      if (this.#rows.decoding(lengthClass).length === 0) continue;
      await this.#decode(lengthClass);
      hasRun = true;
    }
    return hasRun;
  }

  #startJobs(): void {
    const isReady = ({ id }: scheduler.Ticket) => this.#job(id).image !== null;
    for (;;) {
      const next = scheduler.startNext(this.#schedule, this.#options.limits, isReady);
      if (next === null) return;
      this.#schedule = next.schedule;
      const job = this.#job(next.started.id);
      const { request, maxTokens, guide } = job;
      const { tokenizer, randomSeed } = this.#options;
      const adapter = must(job.image, 'an adapter in memory');
      const sequence = new Sequence({
        request,
        adapter,
        tokenizer,
        maxTokens,
        guide,
        randomSeed: randomSeed(),
      });
      job.sequence = sequence;
      this.#jobOf.set(sequence, job);
      this.#rows.start(sequence, next.started.lengthClass);
    }
  }

  async #readPrompt(): Promise<boolean> {
    const ticket = scheduler.nextPrefill(this.#schedule);
    if (ticket === null) return false;
    const job = this.#job(ticket.id);
    try {
      const logits = await this.#rows.read(must(job.sequence, 'a started job'));
      if (logits === null) this.#schedule = scheduler.chunkDone(this.#schedule);
      else {
        this.#schedule = scheduler.prefillDone(this.#schedule);
        this.#choose(job, logits);
      }
    } catch (error) {
      this.#fail(job, error);
    }
    this.#flush();
    return true;
  }

  async #decode(lengthClass: number): Promise<void> {
    const jobs = this.#rows
      .decoding(lengthClass)
      .map((sequence) => must(this.#jobOf.get(sequence), 'a job of the sequence'));
    const [only, another] = jobs;
    const alone = this.#options.speculation && another === undefined ? only?.sequence : null;
    const guess = alone?.guess() ?? [];
    try {
      if (only !== undefined && guess.length > 0) {
        const logits = await this.#rows.decodeAlong(lengthClass, guess);
        this.#take(only, (sequence) => sequence.chooseAlong(guess, logits));
      } else {
        const logits = await this.#rows.decode(lengthClass);
        for (const [b, job] of jobs.entries()) this.#choose(job, logits[b]);
      }
    } catch (error) {
      for (const job of jobs) this.#fail(job, error);
    }
    this.#flush();
  }

  #choose(job: Job, logits: Float32Array | undefined): void {
    this.#take(job, (sequence) => [sequence.choose(must(logits, 'logits of the row'))]);
  }

  /** A row whose logits are broken fails alone. */
  #take(job: Job, choose: (sequence: Sequence) => readonly SequenceStep[]): void {
    const { id } = job;
    const sequence = must(job.sequence, 'a started job');
    try {
      const steps = choose(sequence);
      const tokens = sequence.tokenCount;
      for (const { text, logprob } of steps)
        if (text !== '' || logprob !== null)
          this.#events.push({ kind: 'text', id, text, tokens, ...(logprob && { logprob }) });
      const finishReason = steps.at(-1)?.finishReason ?? null;
      if (finishReason === null) return;
      this.#events.push({ kind: 'done', id, finishReason, tokens });
    } catch (error) {
      this.#fail(job, error);
      return;
    }
    this.#drainRate.finished(this.#options.clock.now());
    this.#end(job);
  }

  #endLater(id: number, error: Error | null): void {
    if (!this.#jobs.has(id)) return; // it is over
    this.#endings.set(id, error);
    this.#doorbell.ring();
  }

  #endJobs(): void {
    const endings = this.#endings;
    this.#endings = new Map();
    for (const [id, error] of endings) {
      const job = this.#jobs.get(id);
      if (job === undefined) continue;
      if (error === null) this.#end(job);
      else this.#fail(job, error);
    }
    this.#flush();
  }

  #fail(job: Job, error: unknown): void {
    this.#events.push({ kind: 'error', id: job.id, error: toWireError(error) });
    this.#end(job);
  }

  #end(job: Job): void {
    this.#schedule = scheduler.remove(this.#schedule, job.id);
    if (job.sequence !== null) this.#rows.drop(job.sequence);
    job.pinned?.release();
    this.#jobs.delete(job.id);
  }

  #flush(): void {
    if (this.#events.length === 0) return;
    const events = this.#events;
    this.#events = [];
    this.#options.report(events);
  }

  #job(id: number): Job {
    return must(this.#jobs.get(id), `job ${id}`);
  }
}
