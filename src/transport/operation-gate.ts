// What every operation passes, whatever carried it: who asks, what they may ask for, what they may reach, and what they
// see when it fails. Both transports call it, so that neither has a rule of its own.

import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  type OperationTypeNode,
} from 'graphql';
import type { pino } from 'pino';
import type { Context, Services } from '../../schema/context.ts';
import { createLoaders, type Loaders } from '../../schema/loaders.ts';
import type { Authenticator } from '../auth/token-claims.ts';
import type { RevokedDevices } from '../changes/revoked-devices.ts';
import { AppError } from '../lib/errors.ts';
import { type Caller, createAdmission, type Session } from './admission.ts';
import { createDocumentCheck, type DocumentCheck } from './check-document.ts';
import { codeOf, createClientErrors, type ToClientError } from './client-errors.ts';
import { operationCost } from './operation-cost.ts';
import { requireScope, requireScopes } from './operation-scopes.ts';
import type { Protection } from './protection.ts';
import type { FindDocument } from './trusted-documents.ts';

/** A valid document, and what of it shall be run. */
export interface OperationRequest {
  readonly document: DocumentNode;
  readonly operationName?: string | null | undefined;
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
}

/** The rules of all operations. */
export interface OperationGate {
  readonly protection: Protection;
  readonly revokedDevices: Pick<RevokedDevices, 'onRevoked' | 'onErased' | 'steadily'>;
  /** Counts a request, a socket or an operation on one, before anything is done for it. Throws RATE_LIMITED when the address
   *  asks too often. */
  knock(address: string): Promise<void>;
  /** Who asks. Throws UNAUTHENTICATED, and FORBIDDEN when the token is for something else or its device was revoked. */
  admit(caller: Caller): Promise<Session>;
  /** Who asks for files, after a knock: those are a device's business. */
  admitDevice(caller: Caller): Promise<Session>;
  /** The text of a request's document. */
  readonly findDocument: FindDocument;
  readonly documents: DocumentCheck;
  /** Lets the operation run. Throws FORBIDDEN when the token is not good for it, BAD_INPUT when it costs too much,
   *  RATE_LIMITED when its user asks too often. */
  checkOperation(session: Session, request: OperationRequest): Promise<void>;
  /** What the resolvers of one operation may reach. */
  contextOf(session: Session, signal: AbortSignal): Context;
  /** What the client sees of an error. */
  readonly toClientError: ToClientError;
  /** Counts an operation that has been answered. */
  ended(operation: Outcome): void;
}

/** What became of an operation. */
interface Outcome {
  readonly kind?: OperationTypeNode | undefined;
  readonly errors?: readonly GraphQLFormattedError[] | undefined;
  /** Undefined: nothing was run. */
  readonly data?: unknown;
}

/** Told of every operation that was answered: its kind (`refused`: nothing was run), and OK or the code of its first error. */
export type OnOperation = (outcome: { readonly kind: string; readonly code: string }) => void;

/** The gate of a server with these services. */
export function createOperationGate(options: {
  schema: GraphQLSchema;
  services: Services;
  authenticator: Authenticator;
  logger: pino.Logger;
  protection: Protection;
  onOperation?: OnOperation | undefined;
}): OperationGate {
  const { schema, services, authenticator, logger, protection, onOperation } = options;
  const { rates, limits } = protection;
  const admit = createAdmission({ services, authenticator, rates });
  const knock = (address: string) => rates.spend('address', address, 1);
  return {
    protection,
    revokedDevices: services.revokedDevices,
    knock,
    admit,
    async admitDevice(caller) {
      await knock(caller.address);
      const session = await admit(caller);
      requireScope(session.scopes, 'device');
      return session;
    },
    findDocument: protection.findDocument,
    documents: createDocumentCheck(schema, protection),
    async checkOperation({ viewer, deviceId, scopes }, { document, operationName, variables }) {
      const operation = getOperationAST(document, operationName);
      // executing it says so
      if (!operation) return;
      requireScopes(scopes, document, operation);
      const cost = operationCost(schema, { document, operation, variables: variables ?? {} });
      if (cost > limits.cost) throw tooCostly(cost, limits.cost);
      await rates.spend('user', viewer.id, cost);
      if (deviceId !== null) await rates.spend('device', `${viewer.id} ${deviceId}`, cost);
    },
    contextOf({ viewer, deviceId }, signal) {
      let loaders: Loaders | undefined;
      return {
        viewer,
        deviceId,
        services,
        // most subscriptions live for hours and need none
        get loaders() {
          loaders ??= createLoaders(services, viewer.id);
          return loaders;
        },
        signal,
        spendTokens: (count) => rates.spend('completionTokens', viewer.id, count),
      };
    },
    toClientError: createClientErrors(logger, { hidesSuggestions: protection.isProduction }),
    ended: ({ kind, errors: [error] = [], data }) =>
      onOperation?.({
        kind: data === undefined || kind === undefined ? 'refused' : kind,
        code: error === undefined ? 'OK' : codeOf(error.extensions),
      }),
  };
}

/** Whether the document passed, or what is wrong with it. */
export function isDocument(read: DocumentNode | readonly GraphQLError[]): read is DocumentNode {
  return 'kind' in read;
}

function tooCostly(cost: number, limit: number): AppError {
  const remedy = 'Ask for smaller pages, or in several operations';
  return new AppError('BAD_INPUT', `The operation costs up to ${cost} of ${limit}. ${remedy}.`);
}
