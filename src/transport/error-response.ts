// Failures outside of any operation (no token, an unreadable body, no such page), as GraphQL clients expect them.

import type { ServerResponse } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { AppError } from '../lib/errors.ts';
import { httpStatusOf, retryAfterMsOf, type ToClientError } from './client-errors.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';

/** Answers whatever a request handler threw, in GraphQL's form. */
export function errorResponder(toClientError: ToClientError): ErrorRequestHandler {
  return (error, _request, response, next) => {
    // too late for an answer of our own: Express closes the connection
    if (response.headersSent) return next(error);
    sendError(response, error, toClientError);
  };
}

/** Answers with the error, and with its status and headers. */
export function sendError(
  response: ServerResponse,
  error: unknown,
  toClientError: ToClientError,
): void {
  const { status, cause } = readRequestError(error);
  const formatted = toClientError(cause);
  response.statusCode = status ?? httpStatusOf([formatted]);
  setErrorHeaders({ set: (name, value) => response.setHeader(name, value) }, [formatted]);
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify({ errors: [formatted] }));
}

/** Answers requests for which there is no handler. */
export const notFoundResponder: RequestHandler = (request, response) => {
  const message = `There is nothing at ${request.path}: the API is at /graphql.`;
  response.status(404).json({ errors: [{ message, extensions: { code: 'NOT_FOUND' } }] });
};

type FormattedErrors = Parameters<typeof httpStatusOf>[0];

/** The headers that go with errors: how to sign in, and when to come back. */
export function setErrorHeaders(
  headers: { set(name: string, value: string): unknown },
  errors: FormattedErrors,
): void {
  const retryAfterMs = retryAfterMsOf(errors);
  if (retryAfterMs !== undefined) {
    headers.set('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  }
  if (errors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')) {
    headers.set('www-authenticate', 'Bearer');
  }
}

/** What body-parser found wrong with a body it says by `type` and `status`; the HTTP status is that of the request. */
function readRequestError(error: unknown): { status?: number; cause: unknown } {
  const { type, status, message } = error as { type?: string; status?: number; message?: string };
  if (type === 'entity.too.large') {
    const remedy = 'Send fewer or smaller changes at once';
    const text = `The request has more than ${MAX_REQUEST_BYTES} bytes. ${remedy}.`;
    return { cause: new AppError('TOO_LARGE', text, { cause: error }) };
  }
  if (status === undefined || status < 400 || status >= 500) return { cause: error };
  const text = `The request cannot be read: ${message}. Send a GraphQL operation as JSON.`;
  return { status, cause: new AppError('BAD_INPUT', text, { cause: error }) };
}
