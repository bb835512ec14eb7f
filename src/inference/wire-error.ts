// Errors across the border between two processes: a class does not survive it.

import { AppError } from '../lib/errors.ts';
import type { WireError } from './engine-protocol.ts';

/** The error as a message. */
export function toWireError(error: unknown): WireError {
  if (error instanceof AppError) {
    const { code, message, retryAfterMs } = error;
    return { code, message, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { code: null, message, ...(stack !== undefined && { stack }) };
}

/** The message as an error. */
export function fromWireError({ code, message, retryAfterMs, stack }: WireError): Error {
  if (code !== null)
    return new AppError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
  return new Error(`the engine failed: ${message}`, { cause: stack });
}
