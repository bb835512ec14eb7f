// One answer of the cloud: which adapter speaks, what it is asked, what it says, and what is kept of it.
// `complete` and `completionTokens` both come through here, so they give the same text.

import { randomUUID } from 'node:crypto';
import type { AdapterStore } from '../adapters/store.ts';
import { contextOf } from '../changes/context.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, CompletionRow } from '../db/schema.ts';
import { readForgetCount } from '../db/user-row.ts';
import { completionByClientId, storeCompletion, unstored } from '../feedback/completions.ts';
import type { TokenLogprob } from '../inference/core/logprobs.ts';
import type { Engine } from '../inference/engine-client.ts';
import type { AdapterFolder, EngineEvent, EngineRequest } from '../inference/engine-protocol.ts';
import { AsyncQueue } from '../lib/async-queue.ts';
import type { Json } from '../lib/canonical-json.ts';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../lib/errors.ts';
import { WIRE_FILE } from '../model/lora/lora-wire.ts';
import type { Tokenizer } from '../model/tokenizer/tokenizer.ts';
import type { Mode } from '../modes/mode.ts';
import { renderPrompt } from '../modes/prompt.ts';
import { type AdapterChoice, chooseAdapter } from './choose-adapter.ts';
import { untilDeadline } from './deadline.ts';

/** What is asked, every limit checked. */
export interface Question {
  /** The caller's own id: the same one again gets the same answer again. */
  readonly clientId: string | null;
  readonly mode: Mode;
  readonly input: Json;
  readonly adapter: AdapterChoice;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number | null;
  readonly stop: readonly string[];
  /** How many of the likeliest tokens to tell at each place; undefined: nothing of how likely they were. */
  readonly topLogprobs?: number | undefined;
  /** When the answer must be there, from now; undefined: whenever it is. */
  readonly deadlineMs?: number | undefined;
}

/** An answer as it is stored, and what is told of it once. */
export type Answer = CompletionRow & {
  /** Of each token, for who had asked for it with this very call. */
  readonly logprobs?: readonly TokenLogprob[] | undefined;
};

/** A piece of an answer (pieces are numbered from 0), or its end. */
export type AnswerEvent =
  | {
      readonly kind: 'chunk';
      readonly completionId: string;
      readonly index: number;
      readonly text: string;
    }
  | { readonly kind: 'done'; readonly completion: Answer };

/** What answering needs. */
export interface AnswerDeps {
  readonly db: Db;
  readonly baseSha256: string;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  readonly store: AdapterStore;
  readonly clock: Clock;
  /** Whether answers are kept (default true); else each is told once, to who asked. */
  readonly storesCompletions?: boolean;
}

/** Answers questions. */
export interface Answers {
  /** The whole answer. When the signal aborts, what there is of it is stored as CANCELLED; but an answer with a clientId
   *  is finished, since its caller may come back for it. */
  complete(userId: string, question: Question, signal: AbortSignal): Promise<Answer>;
  /** The answer piece by piece; when the signal aborts, what there is of it is stored as CANCELLED. */
  stream(userId: string, question: Question, signal: AbortSignal): AsyncIterable<AnswerEvent>;
}

/** Opens the door to the engine for questions of users. */
export function openAnswers(deps: AnswerDeps): Answers {
  const underWay = new Map<string, Promise<unknown>>();
  const ask: Ask = (userId, question, listener) => {
    const { clientId } = question;
    if (clientId === null) return answerNow(deps, userId, question, listener);
    return oneAtATime(underWay, `${userId} ${clientId}`, async () => {
      const first = await completionByClientId(deps.db, userId, clientId);
      return first ?? answerNow(deps, userId, question, listener);
    });
  };
  return {
    complete: (userId, question, signal) => {
      const id = randomUUID();
      const ended = question.clientId === null ? signal : new AbortController().signal;
      return ask(userId, question, { id, say: () => undefined, signal: ended });
    },
    stream: (userId, question, signal) => stream(ask, userId, question, signal),
  };
}

type Ask = (userId: string, question: Question, listener: Listener) => Promise<Answer>;

/** Who waits for an answer that is being made. */
interface Listener {
  /** The id of the answer, if it is a new one. */
  readonly id: string;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Runs `work` after all earlier work under the same key has ended, well or not. */
async function oneAtATime<T>(
  underWay: Map<string, Promise<unknown>>,
  key: string,
  work: () => Promise<T>,
): Promise<T> {
  const before = underWay.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  underWay.set(key, mine);
  try {
    return await mine;
  } finally {
    if (underWay.get(key) === mine) underWay.delete(key);
  }
}

function stream(
  ask: Ask,
  userId: string,
  question: Question,
  signal: AbortSignal,
): AsyncIterable<AnswerEvent> {
  const events = new AsyncQueue<AnswerEvent>();
  const id = randomUUID();
  let index = 0;
  const say = (text: string) => {
    events.push({ kind: 'chunk', completionId: id, index, text });
    index += 1;
  };
  ask(userId, question, { id, say, signal }).then(
    (completion) => {
      // an answer of an earlier call comes in one piece
      if (completion.id !== id && index === 0) {
        events.push({ kind: 'chunk', completionId: completion.id, index, text: completion.text });
      }
      events.push({ kind: 'done', completion });
      events.end();
    },
    (error) => events.fail(error),
  );
  return events;
}

/** Has the engine answer, and keeps the answer. */
async function answerNow(
  deps: AnswerDeps,
  userId: string,
  question: Question,
  { id, say, signal }: Listener,
): Promise<Answer> {
  const { mode, input } = question;
  // before any look at what a delete may take away
  const forgetCount = await readForgetCount(deps.db, userId);
  const adapter = await chooseServable(deps, userId, question);
  const context = await contextOf(deps.db, userId, mode, input);
  const messages = renderPrompt(mode, input, context.values);
  const request: EngineRequest = {
    promptIds: deps.tokenizer.encodeChat(messages, { addGenerationPrompt: true }),
    adapter: adapter && (await engineAdapter(deps.store, adapter)),
    maxTokens: question.maxTokens,
    temperature: question.temperature,
    topP: question.topP,
    seed: question.seed,
    stop: question.stop,
    topLogprobs: question.topLogprobs,
    output: mode.output?.shape,
    userId,
  };
  const { clock, engine } = deps;
  const deadline = { deadlineMs: question.deadlineMs, clock, signal };
  const events = untilDeadline((ended) => engine.generate(request, ended), deadline);
  const { kind: _, logprobs, ...said } = await hearOut(events, say);
  const completion = {
    id,
    clientId: question.clientId,
    mode: mode.key,
    input,
    context,
    adapter,
    ...said,
    createdAt: new Date(clock.now()),
    forgetCount,
  };
  const stored = deps.storesCompletions ?? true;
  const answer = stored
    ? await storeCompletion(deps.db, userId, completion)
    : unstored(userId, completion);
  return { ...answer, logprobs };
}

/** The adapter of the question's choice. One that turns out to be damaged is withdrawn by the asking, so that choosing
 *  again finds another, or says why there is none. */
async function chooseServable(
  deps: AnswerDeps,
  userId: string,
  { mode, adapter: choice }: Question,
): Promise<AdapterRow | null> {
  const adapter = await chooseAdapter(deps, userId, mode.key, choice);
  if (adapter === null || (await deps.store.isServable(adapter))) return adapter;
  const other = await chooseAdapter(deps, userId, mode.key, choice);
  if (other === null || (await deps.store.isServable(other))) return other;
  throw new AppError('UNAVAILABLE', `The adapter ${other.sha256} is damaged; try again later.`);
}

/** An adapter of the store as the engine takes it. */
export async function engineAdapter(
  store: AdapterStore,
  adapter: AdapterRow,
): Promise<AdapterFolder> {
  const { sha256, userId, files } = adapter;
  const wireSha256 = files.find(({ name }) => name === WIRE_FILE)?.sha256;
  const folder = await store.folderOf(adapter);
  return { sha256, wireSha256, owner: userId ?? undefined, ...folder };
}

/** Passes the pieces on and returns the end. */
async function hearOut(
  events: AsyncIterable<EngineEvent>,
  say: (text: string) => void,
): Promise<Extract<EngineEvent, { kind: 'done' }>> {
  for await (const event of events) {
    if (event.kind === 'done') return event;
    say(event.text);
  }
  throw new Error('the engine ended without saying how');
}
