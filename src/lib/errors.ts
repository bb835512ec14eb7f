// The caller's errors, in one table. Everything that is not an AppError is masked at the edge and logged with an id.

/** What each code means on the wire: the HTTP status of the whole response and whether the same call may succeed later. */
export const ERROR_CODES = {
  UNAUTHENTICATED: { httpStatus: 401, retryable: false },
  FORBIDDEN: { httpStatus: 403, retryable: false },
  NOT_FOUND: { httpStatus: 200, retryable: false },
  BAD_INPUT: { httpStatus: 200, retryable: false },
  CONFLICT: { httpStatus: 200, retryable: false },
  TOO_LARGE: { httpStatus: 413, retryable: false },
  RATE_LIMITED: { httpStatus: 429, retryable: true },
  OVERLOADED: { httpStatus: 503, retryable: true },
  UNAVAILABLE: { httpStatus: 503, retryable: true },
  INTERNAL: { httpStatus: 500, retryable: true },
} as const satisfies Record<string, { httpStatus: number; retryable: boolean }>;

/** One of the codes a client may see in `extensions.code`. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What tells a client more than the code does: a revoked device removes its copies; an upload that did not arrive as it was
 *  sent is sent anew from its first byte. */
export type ErrorReason = 'DEVICE_REVOKED' | 'SEND_AGAIN';

/** An error that is the caller's to read: its message names the value, what was expected and the remedy. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly reason: ErrorReason | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number; reason?: ErrorReason } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.reason = options.reason;
  }
}

/** Returns `value`, or throws: what must hold did not, and that is our bug, never the caller's. */
export function must<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new Error(`must hold: ${what}`);
  return value;
}
