// Trying again, for what a network does.

import type { Clock } from '../../lib/clock.ts';
import { AppError } from '../../lib/errors.ts';

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 15_000;
/** In a row and without a byte gained: at the waits above, about 15 seconds of a dead network. */
const MAX_FAILURES = 6;

/** A failure that may go away by itself. */
export class RetryableError extends Error {
  override readonly name = 'RetryableError';
  /** What the server asked for, if it did. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    options: { cause?: unknown; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** What waiting takes. */
export interface RetryOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/** Runs the attempt again while it throws RetryableError, waiting longer each time; other errors end it at once.
 *  `progressed`, called by the attempt, forgets the failures so far.
 *  Throws UNAVAILABLE after too many failures in a row, and the signal's reason. */
export async function withRetries<T>(
  attempt: (progressed: () => void) => Promise<T>,
  { clock, signal }: RetryOptions,
): Promise<T> {
  let failures = 0;
  const progressed = () => {
    failures = 0;
  };
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await attempt(progressed);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof RetryableError)) throw error;
      failures += 1;
      if (failures >= MAX_FAILURES) throw gaveUp(error, failures);
      const waitMs = error.retryAfterMs ?? FIRST_WAIT_MS * 2 ** (failures - 1);
      await clock.sleep(Math.min(waitMs, MAX_WAIT_MS), signal);
    }
  }
}

function gaveUp(error: RetryableError, failures: number): AppError {
  const message = `${error.message} (tried ${failures} times)`;
  return new AppError('UNAVAILABLE', message, { cause: error });
}

/** Runs a network call whose every failure may go away by itself. `what` is the start of the message. */
export async function asRetryable<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new RetryableError(`${what}: ${reasonOf(error)}`, { cause: error });
  }
}

/** fetch hides the reason (ECONNREFUSED, ENOTFOUND, ...) in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

/** The error for an HTTP status that is not what was asked for: retryable where the status says so. */
export function statusError(url: string, response: Response): Error {
  const message = `${withoutQuery(url)} answers ${response.status} ${response.statusText}`.trim();
  const { status } = response;
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return new RetryableError(message, { retryAfterMs: retryAfterMs(response) });
  return new AppError(status === 404 ? 'NOT_FOUND' : 'UNAVAILABLE', message);
}

/** Signed addresses carry their secret in the query. */
export function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
