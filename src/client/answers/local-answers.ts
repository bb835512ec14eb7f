// Who answers: the device where it can, else the cloud with the adapter that the device holds. It says which it was.

import type { TokenLogprob } from '../../inference/core/logprobs.ts';
import type { Json } from '../../lib/canonical-json.ts';
import { AppError, must } from '../../lib/errors.ts';
import type { ModeDefinition } from '../../modes/definition.ts';
import type { AdapterMessage } from '../../sync/protocol.ts';
import { ApiError } from '../api.ts';
import { keepFor, ownerOf } from '../sync/owner.ts';
import type { SyncParts } from '../sync/sync-parts.ts';
import type { DeviceEngine, EngineQuestion } from './device-engine.ts';
import { EngineKeeper } from './engine-keeper.ts';

/** A question in a mode. What is left out is as the mode has it. */
export interface CompleteRequest {
  readonly mode: string;
  readonly input: Json;
  readonly maxTokens?: number;
  /** 0, which is what it is when left out: greedy. */
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
  /** Besides the mode's own. */
  readonly stop?: readonly string[];
  /** Tells of each token how likely it was, with so many of the likeliest at its place (0 to 20). */
  readonly topLogprobs?: number;
  /** 'auto' when left out: on the device if it can be. */
  readonly where?: 'auto' | 'device' | 'cloud';
}

/** How an answer is wanted. */
export interface CompleteHooks {
  /** Called with each piece of the text; the cloud's comes in one. */
  onText?(text: string): void;
  readonly signal?: AbortSignal;
}

/** Why the device did not answer: the app asked for the cloud; no engine was handed in; the base or the mode is not
 *  there yet; the prompt shows records, which are the server's, or of which the server has more than this device; there is
 *  too little memory; the last answers took too long; the engine failed. */
export type WhyCloud =
  | 'ASKED'
  | 'NO_ENGINE'
  | 'NO_BASE'
  | 'NO_MODE'
  | 'NEEDS_RECORDS'
  | 'FEW_RECORDS'
  | 'MEMORY'
  | 'SLOW'
  | 'FAILED';

/** An answer, whoever gave it. */
export interface Answer {
  readonly origin: 'DEVICE' | 'CLOUD';
  /** null: the device answered. */
  readonly whyCloud: WhyCloud | null;
  /** The device's own name of the answer, under which the server knows it too. */
  readonly clientId: string;
  /** The server's name of it; null until the device has reported it. */
  readonly id: string | null;
  readonly text: string;
  readonly finishReason: string;
  /** What the server knew when it answered; null for an answer of the device or of the bare base. */
  readonly dataThrough: number | null;
  /** What answered; null: the bare base. */
  readonly adapter: {
    readonly id: string;
    readonly version: number;
    readonly sha256: string;
  } | null;
  /** Of each token of the answer; null where it was not asked for. */
  readonly logprobs: readonly TokenLogprob[] | null;
}

/** Signals that end what goes on in either place. */
export interface Ends {
  readonly device: AbortSignal;
  readonly cloud: AbortSignal;
}

interface Asked {
  readonly request: CompleteRequest;
  readonly hooks: CompleteHooks;
  readonly ends: Ends;
}

/** Reasons for which the cloud would answer better, but not the only one who can. */
const BETTER_LATE: readonly (WhyCloud | null)[] = ['SLOW', 'FEW_RECORDS'];

/** When not to answer on the device. */
export interface DeviceLimits {
  /** Below this the cloud is asked while it can be reached (default 2). */
  readonly minTokensPerSecond?: number;
  /** What the device has; a base that needs more is not opened. Left out: it is tried. */
  readonly memoryBytes?: number;
}

const MIN_TOKENS_PER_SECOND = 2;
/** Shorter answers say little about speed. */
const MIN_TIMED_TOKENS = 8;

type CloudReply = Pick<Answer, 'text' | 'finishReason' | 'dataThrough' | 'adapter' | 'logprobs'> & {
  readonly id: string;
};

/** Answers questions on this device or in the cloud. */
export class LocalAnswers {
  readonly #parts: SyncParts;
  readonly #limits: DeviceLimits;
  readonly #keeper: EngineKeeper | null;
  readonly #onReport: () => void;
  #tokensPerSecond: number | null = null;

  constructor(
    parts: SyncParts,
    options: {
      readonly engine: DeviceEngine | undefined;
      readonly limits: DeviceLimits | undefined;
      /** Called when the server has something to be told. */
      onReport(): void;
    },
  ) {
    this.#parts = parts;
    this.#limits = options.limits ?? {};
    this.#onReport = options.onReport;
    this.#keeper =
      options.engine === undefined
        ? null
        : new EngineKeeper(parts, options.engine, this.#limits.memoryBytes);
  }

  /** Answers. Either place may be closed to it: a paused client does not talk to the server. Throws ApiError where the cloud cannot answer either,
   *  AppError BAD_INPUT for what nobody can answer, and the reason of a signal. */
  async complete(request: CompleteRequest, hooks: CompleteHooks, ends: Ends): Promise<Answer> {
    const { where = 'auto' } = request;
    const asked = { request, hooks, ends };
    const why = where === 'cloud' ? 'ASKED' : await this.#whyNotHere(request.mode);
    const isHere = why === null || (BETTER_LATE.includes(why) && where === 'device');
    return isHere ? this.#here(asked) : this.#elsewhere(asked, why);
  }

  /** Tries again what failed. */
  forgetFailures(): void {
    this.#keeper?.forgetFailure();
    this.#tokensPerSecond = null;
  }

  /** Frees the engine. */
  async close(): Promise<void> {
    await this.#keeper?.close();
  }

  async #whyNotHere(mode: string): Promise<WhyCloud | null> {
    if (this.#keeper === null) return 'NO_ENGINE';
    const flaw = await this.#keeper.flaw();
    if (flaw !== null) return flaw;
    const known = await this.#parts.modes.find(mode);
    if (known === null) return 'NO_MODE';
    const { context, training } = known.definition;
    if (Object.keys(context).length > 0 && training?.where !== 'device')
      return training === undefined ? 'NEEDS_RECORDS' : 'FEW_RECORDS';
    const { minTokensPerSecond = MIN_TOKENS_PER_SECOND } = this.#limits;
    const isSlow = this.#tokensPerSecond !== null && this.#tokensPerSecond < minTokensPerSecond;
    return isSlow ? 'SLOW' : null;
  }

  async #elsewhere(asked: Asked, why: WhyCloud): Promise<Answer> {
    if (asked.request.where === 'device') throw new Error(`the device cannot answer: ${why}`);
    try {
      return await this.#inCloud(asked, why);
    } catch (error) {
      // better late, or with less to go by, than never
      const isOffline = error instanceof ApiError && error.code === 'OFFLINE';
      if (!(BETTER_LATE.includes(why) && (isOffline || asked.ends.cloud.aborted))) throw error;
      return this.#here(asked);
    }
  }

  async #here(asked: Asked): Promise<Answer> {
    const { request, hooks } = asked;
    const signal = anyOf(hooks.signal, asked.ends.device);
    let isShown = false;
    const onText = (text: string) => {
      isShown = true;
      hooks.onText?.(text);
    };
    try {
      return await this.#onDevice(request, { onText, signal });
    } catch (error) {
      signal.throwIfAborted();
      const isCallers = error instanceof AppError && error.code === 'BAD_INPUT';
      // what the user has begun to read is not begun anew by somebody else
      if (isCallers || isShown) throw error;
      this.#keeper?.fail();
      if (request.where === 'device') throw error;
      return this.#inCloud(asked, 'FAILED');
    }
  }

  async #onDevice(request: CompleteRequest, hooks: Required<CompleteHooks>): Promise<Answer> {
    const keeper = this.#keeper as EngineKeeper;
    const { definition } = must(await this.#parts.modes.find(request.mode), 'a known mode');
    const owner = await ownerOf(this.#parts);
    const held = await this.#held(request.mode);
    const engine = await keeper.openWith(held);
    const { now } = this.#parts.api.access.clock;
    const variables = await this.#variables(request, definition);
    const startedAt = now();
    const question = questionOf(request, definition, { variables, held });
    const said = await engine.answer(question, hooks);
    this.#time(said.completionTokens, now() - startedAt);
    const clientId = crypto.randomUUID();
    const { mode, input } = request;
    const { text, finishReason, logprobs } = said;
    const adapterId = held?.id ?? null;
    // what only devices learn from is nothing for the server to keep
    if (definition.training?.where !== 'device') {
      const report = { clientId, mode, input, text, adapterId };
      await keepFor(this.#parts, owner, () => this.#parts.reports.add(report));
      this.#onReport();
    }
    const adapter = held && { id: held.id, version: held.version, sha256: held.sha256 };
    const unknown = { whyCloud: null, id: null, dataThrough: null };
    return { origin: 'DEVICE', ...unknown, clientId, text, finishReason, adapter, logprobs };
  }

  /** What the prompt's templates may name. */
  async #variables({ input }: CompleteRequest, definition: ModeDefinition) {
    if (Object.keys(definition.context).length === 0) return { input };
    const { localContext } = await import('./local-context.ts');
    return { ...(await localContext(definition, input, this.#parts.records)), input };
  }

  async #inCloud({ request: asked, hooks, ends }: Asked, whyCloud: WhyCloud): Promise<Answer> {
    const { where: _, ...request } = asked;
    const signal = anyOf(hooks.signal, ends.cloud);
    const held = await this.#held(request.mode);
    const adapter = held === null ? {} : { adapter: { sha256: held.sha256 } };
    const clientId = crypto.randomUUID();
    const input = { clientId, ...request, ...adapter };
    type Reply = { complete: CloudReply };
    const { complete } = await this.#parts.api.ask<Reply>('Complete', { input }, signal);
    hooks.onText?.(complete.text);
    return { origin: 'CLOUD', whyCloud, clientId, ...complete };
  }

  async #held(mode: string): Promise<AdapterMessage | null> {
    return (await this.#parts.shelf.read()).slots[mode]?.installed ?? null;
  }

  #time(tokens: number, ms: number): void {
    if (tokens < MIN_TIMED_TOKENS) return;
    this.#tokensPerSecond = (1000 * tokens) / Math.max(1, ms);
  }
}

function anyOf(own: AbortSignal | undefined, end: AbortSignal): AbortSignal {
  return own === undefined ? end : AbortSignal.any([own, end]);
}

function questionOf(
  request: CompleteRequest,
  { prompt, decode, output }: ModeDefinition,
  { variables, held }: { variables: Readonly<Record<string, Json>>; held: AdapterMessage | null },
): EngineQuestion {
  const { maxTokens = decode.maxTokens, topLogprobs } = request;
  const { temperature = 0, topP = 1, seed = null } = request;
  return {
    prompt: { templates: prompt, variables },
    adapter: held?.sha256 ?? null,
    output,
    maxTokens: Math.min(maxTokens, decode.maxTokens),
    ...{ temperature, topP, seed, topLogprobs },
    stop: [...decode.stop, ...(request.stop ?? [])],
  };
}
