// What a client sees of an error, on every transport: the caller's errors as they are, all others masked and logged.

import { randomUUID } from 'node:crypto';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { pino } from 'pino';
import { AppError, ERROR_CODES, type ErrorCode } from '../lib/errors.ts';

/** Turns any error of an operation into what the client may see. */
export type ToClientError = (error: unknown) => GraphQLFormattedError;

/** The one place where errors become visible: AppErrors keep message and code; what GraphQL itself finds wrong with an
 *  operation is BAD_INPUT; anything else is INTERNAL under an id that the log has. */
export function createClientErrors(
  logger: pino.Logger,
  { hidesSuggestions = false } = {},
): ToClientError {
  return (error) => {
    const root = rootOf(error);
    const place = placeOf(error);
    if (root instanceof AppError) return { ...appError(root), ...place };
    if (isCallers(error, root)) {
      const message = hidesSuggestions ? root.message.replace(SUGGESTION, '') : root.message;
      return { message, ...place, extensions: { code: 'BAD_INPUT' } };
    }
    if (isUnstorableText(root)) return { ...appError(UNSTORABLE), ...place };
    const errorId = randomUUID();
    logger.error({ errorId, path: place.path, err: root }, 'an operation failed');
    return {
      message: `Something failed on the server's side (error ${errorId}): try again later.`,
      ...place,
      extensions: { code: 'INTERNAL', errorId },
    };
  };
}

/** What GraphQL adds to a message when the schema has a name like the one that was asked for. */
const SUGGESTION = / Did you mean [^?]*\?/;

/** The HTTP status of a response with these errors: the gravest one's. */
export function httpStatusOf(errors: readonly GraphQLFormattedError[]): number {
  return Math.max(
    200,
    ...errors.map(({ extensions }) => ERROR_CODES[codeOf(extensions)].httpStatus),
  );
}

/** The longest wait that one of the errors asks for; undefined when none does. */
export function retryAfterMsOf(errors: readonly GraphQLFormattedError[]): number | undefined {
  const waits = errors.map(({ extensions }) => extensions?.retryAfterMs);
  const known = waits.filter((wait) => typeof wait === 'number');
  return known.length === 0 ? undefined : Math.max(...known);
}

/** What clients see of an error that is theirs. */
export function appError({ message, code, retryAfterMs, reason }: AppError): GraphQLFormattedError {
  const more = { ...(retryAfterMs !== undefined && { retryAfterMs }), ...(reason && { reason }) };
  return { message, extensions: { code, ...more } };
}

/** The code of an error that a client sees. */
export function codeOf(extensions: GraphQLFormattedError['extensions']): ErrorCode {
  const code = extensions?.code;
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code)
    ? (code as ErrorCode)
    : 'INTERNAL';
}

/** What was thrown first: GraphQL and Apollo wrap it, once or more. */
function rootOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError !== undefined
    ? rootOf(error.originalError)
    : error;
}

/** GraphQL's own errors are the caller's when they concern the document or its variables. Those that a resolver's value
 *  caused (an Int that is none) carry the path of the field and no node of the document of their own. */
function isCallers(error: unknown, root: unknown): root is GraphQLError {
  if (!(root instanceof GraphQLError)) return false;
  const hasPath = error instanceof GraphQLError && error.path !== undefined;
  return !hasPath || root.nodes !== undefined;
}

/** What PostgreSQL says of U+0000 and of half surrogate pairs, where no check of ours came before it. */
const UNSTORABLE_CODES: readonly unknown[] = ['22021', '22P05'];
const UNSTORABLE = new AppError(
  'BAD_INPUT',
  'A text holds the character U+0000 or half of a surrogate pair: leave it out.',
);

function isUnstorableText(root: unknown): boolean {
  return root instanceof Error && 'code' in root && UNSTORABLE_CODES.includes(root.code);
}

function placeOf(error: unknown): Pick<GraphQLFormattedError, 'locations' | 'path'> {
  if (!(error instanceof GraphQLError)) return {};
  const { locations, path } = error.toJSON();
  return { ...(locations && { locations }), ...(path && { path }) };
}
