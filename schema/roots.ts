// Where operations start; each noun's file adds its fields.

import { objectType } from 'nexus';

/** Reads. */
export const Query = objectType({
  name: 'Query',
  description: "Reads of the signed-in user's data.",
  definition: () => undefined,
});

/** Writes. */
export const Mutation = objectType({
  name: 'Mutation',
  description: 'Writes, one after the other.',
  definition: () => undefined,
});

/** Streams. */
export const Subscription = objectType({
  name: 'Subscription',
  description: 'Streams, over WebSocket (graphql-transport-ws).',
  definition: () => undefined,
});
