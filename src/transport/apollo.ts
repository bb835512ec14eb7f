// GraphQL over HTTP by Apollo Server. What an operation may do is the gate's business; this file asks the gate at every
// stage and gives its refusals a status.

import {
  ApolloServer,
  type ApolloServerPlugin,
  type GraphQLRequest,
  HeaderMap,
  type HTTPGraphQLRequest,
} from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { GraphQLError, type GraphQLSchema } from 'graphql';
import type { Context } from '../../schema/context.ts';
import { AppError } from '../lib/errors.ts';
import type { Session } from './admission.ts';
import { appError, httpStatusOf } from './client-errors.ts';
import { setErrorHeaders } from './error-response.ts';
import type { OperationGate } from './operation-gate.ts';
import type { DocumentRequest } from './trusted-documents.ts';

/** What a resolver reaches, and who asks. */
export interface HttpContext extends Context {
  readonly session: Session;
}

/** Apollo Server behind the gate; start and stop it. */
export function createApollo(
  schema: GraphQLSchema,
  gate: OperationGate,
): ApolloServer<HttpContext> {
  const { extraRules, validationOptions, known } = gate.documents;
  return new ApolloServer<HttpContext>({
    schema,
    formatError: (_formatted, error) => gate.toClientError(error),
    parseOptions: { maxTokens: gate.protection.limits.tokens },
    validationRules: [...extraRules],
    validationOptions,
    // the gate's rules say whether
    introspection: true,
    persistedQueries: false,
    documentStore: {
      get: (key) => Promise.resolve(known.find(hashOf(key))),
      set: (key, document) => Promise.resolve(known.keep(hashOf(key), document)),
      delete: (key) => Promise.resolve(known.forget(hashOf(key))),
    },
    // no page of others can send the token's header without asking first, and nobody gets here without it
    csrfPrevention: gate.protection.refusesPlainGets || { requestHeaders: ['authorization'] },
    includeStacktraceInErrorResponses: false,
    // who stops the process stops the server: see app.ts
    stopOnTerminationSignals: false,
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      // it would look at every field of every answer, and none may be cached
      ApolloServerPluginCacheControlDisabled(),
      operationPlugin(gate),
      statusPlugin(gate),
    ],
  });
}

/** Apollo's keys end in the SHA-256 of the document's text. */
const hashOf = (key: string): string => key.slice(-64);

/** Puts the text of the document in the body, wherever it came from, if the gate lets it pass. */
export function readHttpDocument(
  gate: OperationGate,
  request: Pick<HTTPGraphQLRequest, 'method' | 'search' | 'body'>,
): void {
  try {
    const { method, body } = request;
    const posted = method === 'POST' && isObject(body) ? body : null;
    const query = gate.findDocument(posted ?? searchOf(request.search));
    // Apollo says what is wrong with a request without one
    if (query === undefined) return;
    gate.documents.checkSize(query);
    if (posted !== null) Object.assign(posted, { query, ...withoutId(posted) });
  } catch (error) {
    if (error instanceof AppError) gate.ended({ errors: [appError(error)] });
    throw withStatus(error);
  }
}

/** Apollo, which has no documents by id, need not hear of the id. */
function withoutId({ extensions }: DocumentRequest): DocumentRequest {
  return isObject(extensions) && 'persistedQuery' in extensions ? { extensions: {} } : {};
}

function isObject(body: unknown): body is DocumentRequest {
  return typeof body === 'object' && body !== null && !Array.isArray(body);
}

/** What Apollo will read of a GET. */
function searchOf(search: string): DocumentRequest {
  const query = new URLSearchParams(search).get('query');
  return query === null ? {} : { query };
}

function operationPlugin(gate: OperationGate): ApolloServerPlugin<HttpContext> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        async didResolveOperation({ document, request, contextValue }) {
          const { operationName, variables } = request;
          try {
            await gate.checkOperation(contextValue.session, { document, operationName, variables });
          } catch (error) {
            throw withStatus(error);
          }
        },
      }),
  };
}

/** Nothing was run: a mistake of the caller's has a status that says so, as one that Apollo finds. */
function withStatus(error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const shown = [appError(error)];
  const headers = new HeaderMap();
  setErrorHeaders(headers, shown);
  const status = httpStatusOf(shown);
  return refusal(error, { status: status === 200 ? 400 : status, headers });
}

function refusal(originalError: Error, http: { status: number; headers: HeaderMap }) {
  return new GraphQLError(originalError.message, { originalError, extensions: { http } });
}

/** Clients that know plain JSON only take every other status for a failure of the network. */
function wantsPlainJson({ http }: GraphQLRequest): boolean {
  const accepted = http?.headers.get('accept') ?? '';
  return accepted.includes('application/json') && !accepted.includes('graphql-response+json');
}

/** Apollo leaves the status of an operation that was executed to us; the others have theirs. */
function statusPlugin(gate: OperationGate): ApolloServerPlugin<HttpContext> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        willSendResponse({ request, operation, response: { body, http } }) {
          // there is no other kind: nothing here is deferred
          const { errors = [], data } = body.kind === 'single' ? body.singleResult : {};
          gate.ended({ kind: operation?.operation, errors, data });
          if (errors.length > 0) http.status ??= httpStatusOf(errors);
          if (http.status === 400 && wantsPlainJson(request)) http.status = 200;
          http.headers.set('cache-control', 'no-store');
          setErrorHeaders(http.headers, errors);
          return Promise.resolve();
        },
      }),
  };
}
