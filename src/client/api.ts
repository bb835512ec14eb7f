// The server as the SDK sees it: GraphQL operations over an injected fetch. What comes out is parsed by shape of the
// schema, which is versioned with the SDK; every failure is an ApiError that says whether to try again.

import type { Clock } from '../lib/clock.ts';
import type { ErrorReason } from '../lib/errors.ts';
import type {
  Acknowledgement,
  AdapterMessage,
  FeedAnswer,
  PushAnswer,
  RatingMessage,
  ReportMessage,
} from '../sync/protocol.ts';
import { DOCUMENTS, type OperationName } from './documents.ts';
import type { NumberedChange } from './sync/outbox.ts';

/** Longest wait for an answer to an operation. */
const ANSWER_MS = 30_000;

/** Where the server is and how to reach it. */
export interface ServerAccess {
  /** Such as `https://attune.example`, without a slash at the end. */
  readonly url: string;
  readonly fetch: typeof fetch;
  /** A valid token; `refused` is the one that the server did not take, for the app to get a new one. */
  token(refused: string | null): Promise<string>;
  readonly clock: Clock;
}

/** Something that the server, or the network before it, did not do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** A code of the server's, OFFLINE when nothing answered, or HTTP_ and the status of an answer that is none. */
  readonly code: string;
  readonly isRetryable: boolean;
  readonly retryAfterMs: number;
  /** What tells more than the code does, where the server says so. */
  readonly reason: ErrorReason | null;

  constructor(
    code: string,
    message: string,
    options: {
      cause?: unknown;
      isRetryable?: boolean;
      retryAfterMs?: number | undefined;
      reason?: ErrorReason | undefined;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.isRetryable = options.isRetryable ?? false;
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.reason = options.reason ?? null;
  }
}

/** How a device introduces itself. */
export interface DeviceName {
  readonly deviceId: string;
  readonly name: string;
  readonly platform: string;
}

/** What the server knows of a device. */
export interface Registration {
  readonly lastMutationId: number;
  readonly held: readonly { readonly adapter: { readonly id: string } }[];
}

/** One user's server, from one device. */
export class Api {
  readonly access: ServerAccess;
  #token: string | null = null;
  #refused: string | null = null;
  #asking: Promise<string> | null = null;

  constructor(access: ServerAccess) {
    this.access = access;
  }

  async register(input: DeviceName, signal: AbortSignal): Promise<Registration> {
    type Answer = { registerDevice: Registration };
    return (await this.ask<Answer>('Register', { input }, signal)).registerDevice;
  }

  async push(
    input: { deviceId: string; changes: readonly NumberedChange[] },
    signal: AbortSignal,
  ): Promise<PushAnswer> {
    return (await this.ask<{ pushChanges: PushAnswer }>('Push', { input }, signal)).pushChanges;
  }

  /** A page of the feed, and the adapters that everyone starts from. */
  async feed(
    after: string | null,
    signal: AbortSignal,
  ): Promise<{ feed: FeedAnswer; shipped: readonly AdapterMessage[] }> {
    type Mode = { readonly shippedAdapter: AdapterMessage | null };
    type Answer = { viewer: { adapterFeed: FeedAnswer; modes: readonly Mode[] } };
    const { adapterFeed, modes } = (await this.ask<Answer>('Feed', { after }, signal)).viewer;
    return { feed: adapterFeed, shipped: modes.flatMap((mode) => mode.shippedAdapter ?? []) };
  }

  async acknowledge(deviceId: string, word: Acknowledgement, signal: AbortSignal): Promise<void> {
    await this.ask('Acknowledge', { input: { deviceId, ...word } }, signal);
  }

  /** Returns the server's name of the answer. */
  async report(deviceId: string, report: ReportMessage, signal: AbortSignal): Promise<string> {
    type Answer = { reportCompletion: { id: string } };
    const { reportCompletion } = await this.ask<Answer>(
      'Report',
      { input: { deviceId, ...report } },
      signal,
    );
    return reportCompletion.id;
  }

  async rate(input: RatingMessage, signal: AbortSignal): Promise<void> {
    await this.ask('Rate', { input }, signal);
  }

  /** Sends an operation and returns its data. Throws ApiError, or the signal's reason. */
  async ask<T>(
    operationName: OperationName,
    variables: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<T> {
    const body = JSON.stringify({ operationName, query: DOCUMENTS[operationName], variables });
    const headers = { 'content-type': 'application/json' };
    const { answer, response } = await this.exchange(
      '/graphql',
      { method: 'POST', headers, body, signal },
      async (reply) => ({ response: reply, answer: await bodyOf(reply) }),
    );
    const [error] = answer.errors ?? [];
    if (error === undefined && answer.data) return answer.data as T;
    throw toApiError(response, error);
  }

  /** The JSON at the path; null: there is none. Throws ApiError. */
  find<T>(path: string, signal: AbortSignal): Promise<T | null> {
    return this.exchange(path, { signal }, async (response) => {
      if (response.status === 404) return null;
      if (response.status !== 200) throw await errorOf(response);
      return (await response.json().catch((cause: unknown) => {
        throw offline(cause);
      })) as T;
    });
  }

  /** A request and what `read` makes of the answer, both within half a minute. Throws ApiError, or the signal's reason. */
  exchange<T>(
    path: string,
    init: RequestInit & { readonly signal: AbortSignal },
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    return this.#inTime(init.signal, async (signal) =>
      read(await this.send(path, { ...init, signal })),
    );
  }

  /** One request with the user's token, for as long as it takes. A token that the server refuses is replaced once.
   *  Throws ApiError OFFLINE when nothing answers. */
  async send(path: string, init: RequestInit): Promise<Response> {
    const token = await this.token(null);
    const response = await this.#sendWith(token, path, init);
    if (response.status !== 401) return response;
    return this.#sendWith(await this.token(token), path, init);
  }

  /** The token in use; a fresh one when `refused` is it. Whoever asks meanwhile gets the same one. */
  async token(refused: string | null): Promise<string> {
    if (refused !== null) this.refuse(refused);
    if (this.#token !== null) return this.#token;
    // an app that cannot get a token now may get one later
    this.#asking ??= this.access
      .token(this.#refused)
      .catch((cause: unknown) => Promise.reject(offline(cause)))
      .finally(() => {
        this.#asking = null;
      });
    this.#token = await this.#asking;
    return this.#token;
  }

  /** Lets go of the token if it is the one in use: the app is asked for another one when one is needed. */
  refuse(token: string): void {
    if (this.#token !== token) return;
    this.#token = null;
    this.#refused = token;
  }

  /** Lets go of the token, whichever it is. */
  forgetToken(): void {
    this.#token = null;
    this.#refused = null;
  }

  async #sendWith(token: string, path: string, init: RequestInit): Promise<Response> {
    const headers = { ...init.headers, authorization: `Bearer ${token}` };
    try {
      return await this.access.fetch(this.access.url + path, { ...init, headers });
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw offline(cause);
    }
  }

  async #inTime<T>(signal: AbortSignal, task: (ended: AbortSignal) => Promise<T>): Promise<T> {
    const done = new AbortController();
    const ended = AbortSignal.any([signal, done.signal]);
    const late = this.access.clock.sleep(ANSWER_MS, ended).then(() => {
      done.abort();
      throw new ApiError('OFFLINE', `no answer in ${ANSWER_MS} ms`, { isRetryable: true });
    });
    try {
      return await Promise.race([task(ended), late]);
    } finally {
      // ends the clock's wait, whose rejection then says only that
      late.catch(() => undefined);
      done.abort();
    }
  }
}

/** The network's failure as an error of ours. */
export function offline(cause: unknown): ApiError {
  return new ApiError('OFFLINE', 'the server cannot be reached', { cause, isRetryable: true });
}

interface GraphQLAnswer {
  readonly data?: unknown;
  readonly errors?: readonly GraphQLFailure[];
}

interface GraphQLFailure {
  readonly message: string;
  readonly extensions?: {
    readonly code?: string;
    readonly retryable?: boolean;
    readonly retryAfterMs?: number;
    readonly reason?: ErrorReason;
  };
}

/** An answer that is no success, as an error. */
export async function errorOf(response: Response): Promise<ApiError> {
  const { errors } = await bodyOf(response);
  return toApiError(response, errors?.[0]);
}

async function bodyOf(response: Response): Promise<GraphQLAnswer> {
  let text: string;
  try {
    text = await response.text();
  } catch (cause) {
    throw offline(cause);
  }
  try {
    return JSON.parse(text) as GraphQLAnswer;
  } catch (cause) {
    // a proxy's page in place of an answer
    if (!(cause instanceof SyntaxError)) throw cause;
    throw toApiError(response, undefined);
  }
}

function toApiError(response: Response, failure: GraphQLFailure | undefined): ApiError {
  const { code, retryable, retryAfterMs, reason } = failure?.extensions ?? {};
  const bare = statusError(response, failure?.message ?? 'the server');
  return new ApiError(code ?? bare.code, failure?.message ?? bare.message, {
    isRetryable: retryable ?? bare.isRetryable,
    retryAfterMs: retryAfterMs ?? bare.retryAfterMs,
    reason,
  });
}

/** Codes of answers that have nothing but a status. */
const STATUS_CODES: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
};

/** An answer without a body that says more, as an error; `what` did not do as it was asked. */
function statusError({ status, headers }: Response, what: string): ApiError {
  const seconds = Number(headers.get('retry-after') ?? 0);
  return new ApiError(STATUS_CODES[status] ?? `HTTP_${status}`, `${what} answered ${status}`, {
    // a success that is none is a proxy's page
    isRetryable: status === 429 || status >= 500 || status < 400,
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : 0,
  });
}
