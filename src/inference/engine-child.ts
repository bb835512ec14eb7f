// One engine process, seen from the server: requests go in, their events come out, and all of them fail when it dies.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { AsyncQueue } from '../lib/async-queue.ts';
import { type Clock, rest } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { type Forked, forkScript } from '../lib/fork-script.ts';
import type { TokenLogprob } from './core/logprobs.ts';
import type {
  AdapterFolder,
  AdapterTier,
  EngineCommand,
  EngineEvent,
  EngineReport,
  EngineRequest,
  EngineSettings,
  FinishReason,
  RequestEvent,
} from './engine-protocol.ts';
import { fromWireError } from './wire-error.ts';

const SCRIPT = new URL('./engine-process.ts', import.meta.url);
/** How long the run under way may take to end. */
const STOP_MS = 900;
/** How often the process is asked for a sign of life, which it gives between runs, and how often in vain before it is taken
 *  for stuck and killed: no run takes half a minute. Counted and not timed, so that a pause of this process costs nothing. */
const PING_EVERY_MS = 5_000;
const MAX_SILENT_PINGS = 6;

/** The process has ended; what it worked on can be asked again of the next one. */
export class EngineGoneError extends AppError {
  constructor(how: string) {
    super('UNAVAILABLE', 'the engine stopped while it worked on this; try again', { cause: how });
  }
}

/** How a process is watched. */
interface Supervision {
  readonly clock: Clock;
  /** Told where each adapter was that an answer asked for. */
  readonly onAdapter?: ((tier: AdapterTier) => void) | undefined;
}

type Inbox = AsyncQueue<RequestEvent | { readonly kind: 'cancelled' }>;

/** A process that is ready to answer. */
export class EngineChild {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #inboxes = new Map<number, Inbox>();
  #nextId = 1;
  #hasEnded = false;
  #silentPings = 0;
  readonly #onAdapter: (tier: AdapterTier) => void;
  /** Resolves with how the process ended; nothing answers after that. */
  readonly ended: Promise<string>;

  private constructor({ child, stderr }: Forked, { clock, onAdapter }: Supervision) {
    this.#child = child;
    this.#clock = clock;
    this.#onAdapter = onAdapter ?? (() => undefined);
    child.on('message', (report: EngineReport) => this.#receive(report));
    // both: what the process reported last may be read after its exit is seen
    const exits = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
    this.ended = exits.then(([[code, signal]]) => {
      const how = `the engine ended (code ${code}, signal ${signal}): ${stderr().trim() || 'no output'}`;
      this.#hasEnded = true;
      for (const inbox of this.#inboxes.values()) inbox.fail(new EngineGoneError(how));
      return how;
    });
  }

  /** Starts a process and waits until it can answer. Throws with the reason when it cannot. */
  static async start(settings: EngineSettings, supervision: Supervision): Promise<EngineChild> {
    const forked = forkScript(SCRIPT);
    const { child } = forked;
    const engine = new EngineChild(forked, supervision);
    engine.#send({ kind: 'start', settings });
    const isReady = new Promise<void>((resolve, reject) => {
      child.on('message', (report: EngineReport) => {
        if (report.kind === 'ready') resolve();
        if (report.kind === 'failed') reject(fromWireError(report.error));
      });
    });
    await Promise.race([isReady, engine.ended.then((how) => Promise.reject(new Error(how)))]);
    void engine.#watch();
    return engine;
  }

  /** The operating system's number of the process. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Answers a request. When the signal aborts, the answer ends as CANCELLED with what there was of it.
   *  Throws the engine's AppErrors, and UNAVAILABLE when the process dies. */
  async *generate(request: EngineRequest, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    if (this.#hasEnded) throw new EngineGoneError('it had ended before');
    const id = this.#nextId;
    this.#nextId += 1;
    const inbox: Inbox = new AsyncQueue();
    const cancel = () => inbox.push({ kind: 'cancelled' });
    signal.addEventListener('abort', cancel, { once: true });
    this.#inboxes.set(id, inbox);
    this.#send({ kind: 'generate', id, request });
    if (signal.aborted) cancel();
    try {
      yield* answerFrom(inbox, request);
    } finally {
      signal.removeEventListener('abort', cancel);
      this.#inboxes.delete(id);
      // harmless when the request is over; otherwise it frees the row
      this.#send({ kind: 'cancel', id });
    }
  }

  /** Has the engine load an adapter that will be asked for soon. */
  warm(adapter: AdapterFolder): void {
    this.#send({ kind: 'warm', adapter });
  }

  /** Has the engine drop the adapters of a user. */
  forget(owner: string): void {
    this.#send({ kind: 'forget', owner });
  }

  /** Ends the process, within a second. */
  async stop(): Promise<void> {
    this.#send({ kind: 'stop' });
    const waiting = new AbortController();
    const kill = this.#clock.sleep(STOP_MS, waiting.signal).then(
      () => this.#child.kill('SIGKILL'),
      () => false, // it ended by itself
    );
    await this.ended;
    waiting.abort();
    await kill;
  }

  #send(command: EngineCommand): void {
    // what a dead process cannot be told anyone waiting learns from its end
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  /** Kills the process when it gives no sign of life. */
  async #watch(): Promise<void> {
    const over = new AbortController();
    void this.ended.then(() => over.abort());
    while (await rest(this.#clock, PING_EVERY_MS, over.signal)) {
      if (this.#silentPings >= MAX_SILENT_PINGS) this.#child.kill('SIGKILL');
      this.#silentPings += 1;
      this.#send({ kind: 'ping' });
    }
  }

  #receive(report: EngineReport): void {
    this.#silentPings = 0;
    if (report.kind === 'adapter') this.#onAdapter(report.tier);
    if (report.kind !== 'events') return;
    for (const event of report.events) this.#inboxes.get(event.id)?.push(event);
  }
}

async function* answerFrom(inbox: Inbox, request: EngineRequest): AsyncGenerator<EngineEvent> {
  let text = '';
  let completionTokens = 0;
  const logprobs: TokenLogprob[] = [];
  const done = (finishReason: FinishReason): EngineEvent => ({
    kind: 'done',
    finishReason,
    text,
    promptTokens: request.promptIds.length,
    completionTokens,
    ...(request.topLogprobs !== undefined && { logprobs }),
  });
  for await (const event of inbox) {
    if (event.kind === 'error') throw fromWireError(event.error);
    if (event.kind === 'cancelled') return yield done('CANCELLED');
    completionTokens = event.tokens;
    if (event.kind === 'done') return yield done(event.finishReason);
    if (event.logprob !== undefined) logprobs.push(event.logprob);
    text += event.text;
    if (event.text !== '') yield { kind: 'text', text: event.text };
  }
}
