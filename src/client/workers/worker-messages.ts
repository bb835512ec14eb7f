// What a page and its Worker say to each other: one call, many pieces of text, one end. Classes do not survive the way,
// so errors go over as their fields.

import { AppError, type ErrorCode } from '../../lib/errors.ts';

/** Page to Worker. */
export type WorkerCall =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly method: string;
      readonly args: readonly unknown[];
    }
  | { readonly kind: 'abort'; readonly id: number };

/** Worker to page. */
export type WorkerReply =
  | { readonly kind: 'event'; readonly id: number; readonly event: unknown }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ErrorFields };

interface ErrorFields {
  readonly code: ErrorCode | null;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** The end of a channel between a page and a Worker: the Worker on the page, the global object in the Worker. */
export interface MessagePeer {
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  addEventListener(
    type: 'message' | 'error' | 'messageerror',
    listener: (event: { readonly data?: unknown; readonly message?: string }) => void,
  ): void;
}

/** An error as its fields. */
export function toErrorFields(error: unknown): ErrorFields {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { code: error instanceof AppError ? error.code : null, name, message, stack };
}

/** The error of these fields. */
export function fromErrorFields({ code, name, message, stack }: ErrorFields): Error {
  if (code !== null) return new AppError(code, message);
  const error = new Error(message, { cause: stack });
  error.name = name;
  return error;
}

/** The memory of every Uint8Array in a value, to be handed over instead of copied. */
export function buffersIn(value: unknown): ArrayBuffer[] {
  if (value instanceof Uint8Array) {
    // a view of a larger piece of memory would take that along
    const isWhole = value.byteLength === value.buffer.byteLength;
    return isWhole && value.buffer instanceof ArrayBuffer ? [value.buffer] : [];
  }
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value).flatMap(buffersIn);
}
