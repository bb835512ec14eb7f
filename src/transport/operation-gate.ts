// What every operation passes, whatever carried it: who asks, what they may reach, and what they see when it fails.
// Both transports call it, so that neither has a rule of its own.

import { type DocumentNode, GraphQLError, type GraphQLSchema, parse, validate } from 'graphql';
import type { pino } from 'pino';
import type { Context, Services } from '../../schema/context.ts';
import { createLoaders } from '../../schema/loaders.ts';
import type { Authenticator } from '../auth.ts';
import { ensureUser } from '../changes/users.ts';
import type { UserRow } from '../db/schema.ts';
import { createClientErrors, type ToClientError } from './client-errors.ts';

/** A document of more tokens is refused before it is parsed whole: parsing and validating cost more than linearly. */
export const MAX_DOCUMENT_TOKENS = 100_000;

/** The largest request body and WebSocket frame: 4 MB of changes, and the words around them. */
export const MAX_REQUEST_BYTES = 5 * 1024 * 1024;

/** Somebody with a valid token. */
export interface Session {
  readonly viewer: UserRow;
  /** When the token ends; milliseconds since the Unix epoch. */
  readonly expiresAt: number;
}

/** The rules of all operations. */
export interface OperationGate {
  /** Who asks, by the value of an `Authorization` header. Throws UNAUTHENTICATED. */
  admit(authorization: string | undefined): Promise<Session>;
  /** What the resolvers of one operation may reach. */
  contextOf(session: Session, signal: AbortSignal): Context;
  /** The document, when the schema has what it asks for; else all that is wrong with it. */
  readDocument(query: string): DocumentNode | readonly GraphQLError[];
  /** What the client sees of an error. */
  readonly toClientError: ToClientError;
}

/** The gate of a server with these services. */
export function createOperationGate(options: {
  schema: GraphQLSchema;
  services: Services;
  authenticator: Authenticator;
  logger: pino.Logger;
}): OperationGate {
  const { schema, services, authenticator, logger } = options;
  return {
    async admit(authorization) {
      const { subject, expiresAt } = await authenticator.authenticate(authorization);
      const now = new Date(services.clock.now());
      return { viewer: await ensureUser(services.db, subject, now), expiresAt };
    },
    readDocument: (query) => readDocument(query, schema),
    contextOf: ({ viewer }, signal) => ({
      viewer,
      services,
      loaders: createLoaders(services.db, viewer.id, services.base.sha256),
      signal,
    }),
    toClientError: createClientErrors(logger),
  };
}

function readDocument(
  query: string,
  schema: GraphQLSchema,
): DocumentNode | readonly GraphQLError[] {
  try {
    const document = parse(query, { maxTokens: MAX_DOCUMENT_TOKENS });
    const errors = validate(schema, document);
    return errors.length === 0 ? document : errors;
  } catch (error) {
    return [
      error instanceof GraphQLError
        ? error
        : new GraphQLError('the document cannot be read', { originalError: error as Error }),
    ];
  }
}
