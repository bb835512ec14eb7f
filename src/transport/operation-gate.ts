// What every operation passes, whatever carried it: who asks, what they may ask for, what they may reach, and what they
// see when it fails. Both transports call it, so that neither has a rule of its own.

import { type DocumentNode, type GraphQLError, type GraphQLSchema, getOperationAST } from 'graphql';
import type { pino } from 'pino';
import type { Context, Services } from '../../schema/context.ts';
import { createLoaders } from '../../schema/loaders.ts';
import type { Authenticator, Identity } from '../auth/token-claims.ts';
import { ensureUser } from '../changes/users.ts';
import type { UserRow } from '../db/schema.ts';
import { AppError } from '../lib/errors.ts';
import { shown } from '../lib/shown.ts';
import { createDocumentCheck, type DocumentCheck } from './check-document.ts';
import { createClientErrors, type ToClientError } from './client-errors.ts';
import { operationCost } from './operation-cost.ts';
import type { Protection } from './protection.ts';
import { REFUSED_POINTS } from './rate-limits.ts';
import type { FindDocument } from './trusted-documents.ts';

/** What a token must be good for. */
const SCOPE = 'device';

/** Somebody with a valid token. */
export interface Session {
  readonly viewer: UserRow;
  /** When the token ends; milliseconds since the Unix epoch. */
  readonly expiresAt: number;
  /** The one device that the token is for; null: any of the user's. */
  readonly deviceId: string | null;
}

/** Who knocks. */
export interface Caller {
  /** The value of an `Authorization` header. */
  readonly authorization: string | undefined;
  readonly address: string;
}

/** A valid document, and what of it shall be run. */
export interface OperationRequest {
  readonly document: DocumentNode;
  readonly operationName?: string | null | undefined;
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
}

/** The rules of all operations. */
export interface OperationGate {
  readonly protection: Protection;
  /** Who asks. Throws UNAUTHENTICATED, or RATE_LIMITED when the address asks too often. */
  admit(caller: Caller): Promise<Session>;
  /** The text of a request's document. */
  readonly findDocument: FindDocument;
  readonly documents: DocumentCheck;
  /** Lets the operation run. Throws BAD_INPUT when it costs too much, RATE_LIMITED when its user asks too often. */
  checkOperation(session: Session, request: OperationRequest): Promise<void>;
  /** What the resolvers of one operation may reach. */
  contextOf(session: Session, signal: AbortSignal): Context;
  /** What the client sees of an error. */
  readonly toClientError: ToClientError;
}

/** The gate of a server with these services. */
export function createOperationGate(options: {
  schema: GraphQLSchema;
  services: Services;
  authenticator: Authenticator;
  logger: pino.Logger;
  protection: Protection;
}): OperationGate {
  const { schema, services, authenticator, logger, protection } = options;
  const { rates, limits } = protection;
  return {
    protection,
    async admit({ authorization, address }) {
      await rates.spend('address', address, 1);
      const identity = await identify(authenticator, authorization, () =>
        rates.spend('address', address, REFUSED_POINTS),
      );
      const { subject, expiresAt, scopes, deviceId } = identity;
      if (!scopes.includes(SCOPE)) throw outOfScope(scopes);
      const viewer = await ensureUser(services.db, subject, new Date(services.clock.now()));
      return { viewer, expiresAt, deviceId };
    },
    findDocument: protection.findDocument,
    documents: createDocumentCheck(schema, protection),
    async checkOperation({ viewer, deviceId }, { document, operationName, variables }) {
      const operation = getOperationAST(document, operationName);
      // executing it says so
      if (!operation) return;
      const cost = operationCost(schema, { document, operation, variables: variables ?? {} });
      if (cost > limits.cost) throw tooCostly(cost, limits.cost);
      await rates.spend('user', viewer.id, cost);
      if (deviceId !== null) await rates.spend('device', `${viewer.id} ${deviceId}`, cost);
    },
    contextOf: ({ viewer }, signal) => ({
      viewer,
      services,
      loaders: createLoaders(services.db, viewer.id, services.base.sha256),
      signal,
      spendTokens: (count) => rates.spend('completionTokens', viewer.id, count),
    }),
    toClientError: createClientErrors(logger, { hidesSuggestions: protection.isProduction }),
  };
}

/** Whether the document passed, or what is wrong with it. */
export function isDocument(read: DocumentNode | readonly GraphQLError[]): read is DocumentNode {
  return 'kind' in read;
}

async function identify(
  authenticator: Authenticator,
  authorization: string | undefined,
  onRefused: () => Promise<void>,
): Promise<Identity> {
  try {
    return await authenticator.authenticate(authorization);
  } catch (error) {
    if (error instanceof AppError) await onRefused();
    throw error;
  }
}

function outOfScope(scopes: readonly string[]): AppError {
  const text = `The token is good for ${shown(scopes)} only: use one with the scope ${SCOPE}.`;
  return new AppError('FORBIDDEN', text);
}

function tooCostly(cost: number, limit: number): AppError {
  const remedy = 'Ask for smaller pages, or in several operations';
  return new AppError('BAD_INPUT', `The operation costs up to ${cost} of ${limit}. ${remedy}.`);
}
