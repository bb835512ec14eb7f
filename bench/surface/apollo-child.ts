// Apollo Server alone, as its documentation starts it: our schema and resolvers, everybody the same user, no checks.

import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { buildSchema } from '../../schema/schema.ts';

const viewer = { id: '00000000-0000-4000-8000-000000000000' };
const server = new ApolloServer({ schema: buildSchema() });
const { url } = await startStandaloneServer(server, {
  listen: { port: 0, host: '127.0.0.1' },
  context: () => Promise.resolve({ viewer }),
});
process.send?.({ url, tokens: ['none'] });
