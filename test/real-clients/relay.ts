// Relay without its compiler, which is a program of its own for each system: what it would write for our documents is here.

import type { Client } from 'graphql-ws';
import {
  type ConcreteRequest,
  commitMutation,
  Environment,
  fetchQuery,
  type GraphQLResponse,
  Network,
  Observable,
  RecordSource,
  requestSubscription,
  Store,
} from 'relay-runtime';
import { type Access, DOCUMENTS, type RealClient } from './real-client.ts';

/** Relay on `fetch` and a graphql-ws client, as its documentation has it. */
export function relay({ url, token }: Access, socket: Client): RealClient {
  const environment = new Environment({
    store: new Store(new RecordSource()),
    network: Network.create(
      async ({ text }, variables) => {
        const response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: JSON.stringify({ query: text, variables }),
        });
        return (await response.json()) as GraphQLResponse;
      },
      ({ text }, variables) =>
        Observable.create((sink) =>
          socket.subscribe({ query: text ?? '', variables }, sink as never),
        ),
    ),
  });
  return {
    run: (name, variables = {}) => {
      const request = REQUESTS[name];
      if (name !== 'Register') return fetchQuery(environment, request, variables).toPromise();
      return new Promise((resolve, reject) => {
        commitMutation(environment, {
          mutation: request,
          variables,
          onCompleted: (data, errors) => (errors ? reject(errors) : resolve(data)),
          onError: reject,
        });
      });
    },
    follow: (onEvent, onError) => {
      const subscription = { subscription: REQUESTS.Events, variables: {} };
      const following = requestSubscription(environment, {
        ...subscription,
        onNext: onEvent,
        onError,
      });
      return () => following.dispose();
    },
    close: () => socket.dispose(),
  };
}

const scalar = (name: string) => ({
  kind: 'ScalarField',
  name,
  alias: null,
  args: null,
  storageKey: null,
});

const linked = (
  name: string,
  concreteType: string | null,
  selections: object[],
  args?: object[],
) => ({
  ...scalar(name),
  kind: 'LinkedField',
  args: args ?? null,
  concreteType,
  plural: false,
  selections,
});

const variable = (name: string) => ({ kind: 'Variable', name, variableName: name });

function requestOf(
  name: keyof typeof DOCUMENTS,
  operationKind: 'query' | 'mutation' | 'subscription',
  selections: object[],
  variables: readonly string[] = [],
): ConcreteRequest {
  const argumentDefinitions = variables.map((one) => ({
    kind: 'LocalArgument',
    name: one,
    defaultValue: null,
  }));
  const root = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' };
  const common = { name, argumentDefinitions, selections };
  return {
    kind: 'Request',
    fragment: {
      ...{ ...common, kind: 'Fragment', type: root[operationKind] },
      ...{ metadata: null, abstractKey: null },
    },
    operation: { ...common, kind: 'Operation' },
    params: {
      ...{ name, operationKind, text: DOCUMENTS[name] },
      ...{ id: null, cacheID: name, metadata: {} },
    },
  } as unknown as ConcreteRequest;
}

const adapter = linked('adapter', 'Adapter', [scalar('id'), scalar('version')]);
const ready = { kind: 'InlineFragment', type: 'AdapterReady', abstractKey: null };

const REQUESTS: Readonly<Record<keyof typeof DOCUMENTS, ConcreteRequest>> = {
  Viewer: requestOf('Viewer', 'query', [linked('viewer', 'User', [scalar('id')])]),
  Register: requestOf(
    'Register',
    'mutation',
    [linked('registerDevice', 'Device', [scalar('id'), scalar('name')], [variable('input')])],
    ['input'],
  ),
  Find: requestOf(
    'Find',
    'query',
    [linked('node', null, [scalar('id')], [variable('id')])],
    ['id'],
  ),
  Events: requestOf('Events', 'subscription', [
    linked('adapterEvents', null, [scalar('__typename'), { ...ready, selections: [adapter] }]),
  ]),
};
