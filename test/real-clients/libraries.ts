// Every library as its own documentation sets it up.

import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import * as urql from '@urql/core';
import { OperationTypeNode } from 'graphql';
import { GraphQLClient } from 'graphql-request';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { type Access, DOCUMENTS, type RealClient, socketUrl } from './real-client.ts';
import { relay } from './relay.ts';

const authorizationOf = ({ token }: Access) => ({ authorization: `Bearer ${token}` });

/** A graphql-ws client, which most others use for subscriptions. */
const socketOf = (access: Access) =>
  createClient({
    url: socketUrl(access.url),
    webSocketImpl: WebSocket,
    connectionParams: () => authorizationOf(access),
    shouldRetry: () => true,
    retryWait: () => Promise.resolve(),
  });

function apollo(access: Access): RealClient {
  const socket = socketOf(access);
  const client = new ApolloClient({
    cache: new InMemoryCache({ possibleTypes: { AdapterSignal: ['AdapterReady'] } }),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      new HttpLink({ uri: access.url, headers: authorizationOf(access) }),
    ),
  });
  return {
    run: async (name, variables = {}) => {
      const document = gql(DOCUMENTS[name]);
      const { data } =
        name === 'Register'
          ? await client.mutate({ mutation: document, variables })
          : await client.query({ query: document, variables, fetchPolicy: 'network-only' });
      return data;
    },
    follow: (onEvent, onError) => {
      const events = client.subscribe({ query: gql(DOCUMENTS.Events) });
      const following = events.subscribe({
        next: ({ data, error }) => (error === undefined ? onEvent(data) : onError(error)),
      });
      return () => following.unsubscribe();
    },
    close: async () => {
      client.stop();
      await socket.dispose();
    },
  };
}

function urqlCore(access: Access): RealClient {
  const socket = socketOf(access);
  const client = new urql.Client({
    url: access.url,
    fetchOptions: { headers: authorizationOf(access) },
    exchanges: [
      urql.fetchExchange,
      urql.subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query, variables: variables ?? null }, sink as never),
          }),
        }),
      }),
    ],
  });
  return {
    run: async (name, variables = {}) => {
      const { data, error } = await (name === 'Register'
        ? client.mutation(DOCUMENTS[name], variables)
        : client.query(DOCUMENTS[name], variables)
      ).toPromise();
      if (error) throw error;
      return data;
    },
    follow: (onEvent, onError) => {
      const following = client
        .subscription(DOCUMENTS.Events, {})
        .subscribe(({ data, error }) => (error ? onError(error) : onEvent(data)));
      return () => following.unsubscribe();
    },
    close: () => socket.dispose(),
  };
}

function graphqlRequest(access: Access): RealClient {
  const client = new GraphQLClient(access.url, { headers: authorizationOf(access) });
  return { run: (name, variables = {}) => client.request(DOCUMENTS[name], variables) };
}

function graphqlWs(access: Access): RealClient {
  const socket = socketOf(access);
  return {
    run: async (name, variables = {}) => {
      const { value } = await socket.iterate({ query: DOCUMENTS[name], variables }).next();
      if (value?.errors) throw value.errors;
      return value?.data;
    },
    follow: (onEvent, onError) =>
      socket.subscribe(
        { query: DOCUMENTS.Events },
        { next: ({ data }) => onEvent(data), error: onError, complete: () => undefined },
      ),
    close: () => socket.dispose(),
  };
}

/** The libraries by name. */
export const LIBRARIES: readonly (readonly [string, (access: Access) => RealClient])[] = [
  ['@apollo/client', apollo],
  ['@urql/core', urqlCore],
  ['graphql-request', graphqlRequest],
  ['relay-runtime', (access) => relay(access, socketOf(access))],
  ['graphql-ws', graphqlWs],
];
