// Errors across the border between two processes: a class does not survive it.

import { AppError } from '../lib/errors.ts';
import { AdapterError } from './adapter-error.ts';
import type { WireError } from './engine-protocol.ts';

/** The error as a message. */
export function toWireError(error: unknown): WireError {
  if (error instanceof AppError) {
    const { code, message, retryAfterMs } = error;
    return { code, message, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  if (error instanceof AdapterError)
    return { code: null, message: error.reason, adapter: error.sha256 };
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { code: null, message, ...(stack !== undefined && { stack }) };
}

/** The message as an error. */
export function fromWireError({ code, message, ...rest }: WireError): Error {
  const { retryAfterMs, adapter, stack } = rest;
  if (code !== null)
    return new AppError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
  if (adapter !== undefined) return new AdapterError(message, { sha256: adapter });
  return new Error(`the engine failed: ${message}`, { cause: stack });
}
