import type { TokenLogprob } from '../../../src/inference/core/logprobs.ts';
import type { Engine } from '../../../src/inference/engine-client.ts';
import type { EngineEvent, EngineRequest } from '../../../src/inference/engine-protocol.ts';
import { deferred, type deferred as makeDeferred } from '../deferred.ts';

const WORDS = ['The', ' plumber', ' comes', ' on', ' Friday'];

/** An engine that says the same five words to everybody, a word a token; its adapter's name comes first. Where it is
 *  stalled it says the first two and then waits for its caller to leave, or to be let go. */
export class FakeEngine implements Engine {
  readonly requests: EngineRequest[] = [];
  /** Requests that are being answered now. */
  rowCount = 0;
  /** Thrown at every request. */
  failure: Error | null = null;
  #stall: ReturnType<typeof makeDeferred<void>> | null = null;
  #stalled = deferred();

  /** From now on answers stop in the middle. */
  stall(): void {
    this.#stall = deferred();
    this.#stalled = deferred();
  }

  /** Resolves when an answer has come to a stop. */
  stalled(): Promise<void> {
    return this.#stalled.promise;
  }

  /** Lets the stopped answers go on. */
  letGo(): void {
    this.#stall?.resolve();
    this.#stall = null;
  }

  async *generate(request: EngineRequest, signal: AbortSignal): AsyncIterableIterator<EngineEvent> {
    this.requests.push(request);
    if (this.failure !== null) throw this.failure;
    this.rowCount += 1;
    try {
      yield* this.#say(request, signal);
    } finally {
      this.rowCount -= 1;
    }
  }

  async *#say({ maxTokens, promptIds, topLogprobs }: EngineRequest, signal: AbortSignal) {
    const words = WORDS.slice(0, maxTokens);
    const said: string[] = [];
    for (const word of words) {
      if (said.length === 2) await this.#waitInTheMiddle(signal);
      if (signal.aborted) break;
      said.push(word);
      yield { kind: 'text', text: word } as const;
    }
    const ended = words.length < WORDS.length ? ('LENGTH' as const) : ('STOP' as const);
    yield {
      kind: 'done',
      finishReason: signal.aborted ? ('CANCELLED' as const) : ended,
      text: said.join(''),
      promptTokens: promptIds.length,
      completionTokens: said.length,
      ...(topLogprobs !== undefined && { logprobs: said.map((word) => sure(word, topLogprobs)) }),
    } as const;
  }

  async #waitInTheMiddle(signal: AbortSignal): Promise<void> {
    if (this.#stall === null || signal.aborted) return;
    const left = deferred();
    signal.addEventListener('abort', () => left.resolve(), { once: true });
    this.#stalled.resolve();
    await Promise.race([this.#stall.promise, left.promise]);
  }

  warm(): void {}
  forget(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** It is certain of every word, whatever the alternatives. */
function sure(token: string, count: number): TokenLogprob {
  return { token, logprob: 0, topLogprobs: [{ token, logprob: 0 }].slice(0, count) };
}
