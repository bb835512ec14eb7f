// GraphQL over HTTP, from the socket to Apollo Server and back. It takes Node's own requests, so that it can stand inside
// Express or, as for nearly all requests, before it.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ApolloServer, HeaderMap, type HTTPGraphQLResponse } from '@apollo/server';
import express from 'express';
import { within } from '../lib/clock.ts';
import { tracedRequest } from '../lib/trace.ts';
import { type HttpContext, readHttpDocument } from './apollo.ts';
import { callerOf } from './client-address.ts';
import { sendError } from './error-response.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';
import type { OperationGate } from './operation-gate.ts';

/** Answers one request; rejects never. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A request whose body was read. */
type ReadRequest = IncomingMessage & { readonly body?: unknown };

/** Answers GraphQL requests: who asks comes first, for nobody else's body is worth reading. */
export function createHttpHandler(
  apollo: ApolloServer<HttpContext>,
  gate: OperationGate,
): HttpHandler {
  const { limits, proxies } = gate.protection;
  const answer = async (request: ReadRequest, response: ServerResponse) => {
    const caller = callerOf(request, proxies);
    await gate.knock(caller.address);
    const session = await gate.admit(caller);
    await readBody(request, response);
    const asked = apolloRequest(request);
    const result = await within(limits.operationMs, abandoned(response), (signal) =>
      apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: asked,
        context: () => {
          readHttpDocument(gate, asked);
          return Promise.resolve({ ...gate.contextOf(session, signal), session });
        },
      }),
    );
    send(response, result);
  };
  const answerOrRefuse = async (request: ReadRequest, response: ServerResponse) => {
    try {
      await answer(request, response);
    } catch (error) {
      // too late for an answer of our own
      if (response.headersSent) response.destroy();
      else sendError(response, error, gate.toClientError);
    }
  };
  return (request, response) => {
    const { traceparent } = request.headers;
    return tracedRequest('http', () => answerOrRefuse(request, response), traceparent?.toString());
  };
}

const parseBody = express.json({ limit: MAX_REQUEST_BYTES });

/** Puts the body of the request, parsed, where Express's readers put it. */
function readBody(request: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    parseBody(request, response, (error?: unknown) => (error ? reject(error) : resolve()));
  });
}

function apolloRequest({ method = '', url = '', headers, body }: ReadRequest) {
  const map = new HeaderMap();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) map.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  const at = url.indexOf('?');
  return { method, headers: map, search: at < 0 ? '' : url.slice(at), body };
}

function send(response: ServerResponse, { status = 200, headers, body }: HTTPGraphQLResponse) {
  // there is no other kind: nothing here is deferred
  const text = body.kind === 'complete' ? body.string : '';
  headers.set('content-length', String(Buffer.byteLength(text)));
  response.writeHead(status, Object.fromEntries(headers));
  response.end(text);
}

/** Aborts when the client has left before its answer was sent. */
function abandoned(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
